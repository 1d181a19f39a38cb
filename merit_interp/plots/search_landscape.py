"""Every recipe that a search tried, best first: which shares of which layers go with a gain.

    figure = draw_search_landscape(search_landscape(findings.trials, n_layers=8), unit="nats")

A row is a recipe, a column a layer, the shade the backbone's share; beside it the objective. This
file must not know how recipes are proposed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from merit_interp.plots.style import (
    GREY,
    INK,
    LEGEND_PIXELS,
    SEQUENTIAL,
    TITLE_PIXELS,
    plain,
    styled,
)
from merit_interp.statistics.correlation import spearman
from merit_interp.tables.number_text import number_text, signed_text

MOST_PIXELS, LEAST_PIXELS = 480, 160
"""Height of the panel, for many and for few recipes."""


@dataclass(frozen=True)
class LandscapeTrial:
    """One recipe."""

    number: int
    objective: float
    shares: tuple[float, ...]
    """Mean share of the backbone in each layer's projections, in [0, 1]."""
    is_chosen: bool


@dataclass(frozen=True)
class SearchLandscape:
    """All recipes, best first."""

    trials: tuple[LandscapeTrial, ...]
    correlations: tuple[float, ...]
    """Spearman's correlation of each layer's share with the objective; NaN where constant."""

    def describe(self) -> str:
        """The figure in words."""
        if not self.trials:
            return "No recipe was tried."
        ordered = sorted(enumerate(self.correlations), key=lambda pair: -pair[1])
        named = ", ".join(f"layer {layer}: {signed_text(value, 2)}" for layer, value in ordered)
        return (
            f"{len(self.trials)} recipes of the search, best first. Rank correlation of a layer's "
            f"share with the objective: {named}."
        )


def search_landscape(trials: pd.DataFrame, *, n_layers: int | None) -> SearchLandscape:
    """Recipes of the search split in the order of their objective.

    Args:
        trials: As `tables.item_frames.trial_frame` returns it.
        n_layers: Text layers of the model; None for those that any trial names.
    """
    rows = trials[trials["split"] == "search"].sort_values("objective", ascending=False)
    layers = [json.loads(text) for text in rows["layers"]]
    named = max((int(layer) + 1 for recipe in layers for layer in recipe), default=0)
    width = max(named, n_layers or 0)
    shares = [
        tuple(_share(recipe.get(str(layer), 0.0)) for layer in range(width)) for recipe in layers
    ]
    found = tuple(
        LandscapeTrial(int(number), float(objective), own, bool(chosen))
        for number, objective, own, chosen in zip(
            rows["number"], rows["objective"], shares, rows["is_chosen"], strict=True
        )
    )
    objectives = [trial.objective for trial in found]
    correlations = tuple(
        spearman([own[layer] for own in shares], objectives, resamples=1).estimate
        for layer in range(width)
    )
    return SearchLandscape(found, correlations)


def _share(coefficient: float | dict[str, float]) -> float:
    """A layer's mean share; projections that a recipe does not name have none."""
    if isinstance(coefficient, dict):
        return sum(coefficient.values()) / 4
    return float(coefficient)


def draw_search_landscape(data: SearchLandscape, *, unit: str) -> go.Figure:
    """Shares as tiles, the objective beside them, best recipe at the top."""
    n_trials, n_layers = len(data.trials), len(data.correlations)
    figure = make_subplots(
        rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.04, column_widths=[0.62, 0.38]
    )
    tiles = min(MOST_PIXELS, max(LEAST_PIXELS, 14 * n_trials))
    title = "Every recipe that was tried, best first: share of the backbone by layer"
    height = TITLE_PIXELS + LEGEND_PIXELS + tiles + 90
    styled(figure, title=title, height=height, readable=360 + 56 * min(n_layers, 10))
    places = list(range(n_trials))
    figure.add_heatmap(
        z=[trial.shares for trial in data.trials], x=list(range(n_layers)), y=places,
        zmin=0, zmax=1, colorscale=[list(stop) for stop in SEQUENTIAL], xgap=2,
        colorbar={"title": {"text": "share", "side": "right"}, "thickness": 10, "outlinewidth": 0,
                  "tickvals": [0, 0.5, 1], "x": 1.0},
        customdata=[[trial.number] * n_layers for trial in data.trials],
        hovertemplate="trial %{customdata}, layer %{x}: %{z:.2f}<extra></extra>", row=1, col=1,
    )  # fmt: skip
    figure.add_scatter(
        x=[trial.objective for trial in data.trials], y=places, mode="markers", name="One recipe",
        marker={"color": GREY, "size": 5, "symbol": "circle-open"},
        customdata=[f"trial {t.number}: J = {number_text(t.objective, 3)}" for t in data.trials],
        hovertemplate="%{customdata}<extra></extra>", row=1, col=2,
    )  # fmt: skip
    for place, trial in enumerate(data.trials):
        if trial.is_chosen:
            figure.add_scatter(
                x=[trial.objective], y=[place], mode="markers", name="Chosen recipe",
                marker={"color": "white", "symbol": "star", "size": 15,
                        "line": {"color": INK, "width": 2}},
                hovertemplate=f"trial {trial.number}, chosen<extra></extra>", row=1, col=2,
            )  # fmt: skip
    figure.add_vline(x=0, line={"color": GREY, "width": 1}, row=1, col=2)
    ticks = [
        f"{layer}<br><span style='color:{INK}'>{signed_text(value, 2)}</span>"
        for layer, value in enumerate(data.correlations)
    ]
    figure.update_yaxes(
        range=[n_trials - 0.5, -0.5], showgrid=False, ticks="", showticklabels=False
    )
    figure.update_yaxes(title_text="Recipes, best first", row=1, col=1)
    figure.update_xaxes(
        title_text="Text layer; below it the rank correlation of its share with J",
        tickvals=list(range(n_layers)), ticktext=ticks, showgrid=False, ticks="", row=1, col=1,
    )  # fmt: skip
    figure.update_xaxes(title_text=plain(f"Objective J ({unit})"), row=1, col=2)
    return figure

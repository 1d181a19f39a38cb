"""The chosen layers masked together, held against other sets of as many layers.

    figure = draw_set_distributions(set_distributions(run, comparisons, model="merged"))

This file must not know how sets were drawn, nor test anything.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from merit_interp.plots.style import (
    GREY,
    INK,
    PERCEPTION,
    REASONING,
    add_key,
    interval_bars,
    styled,
)
from merit_interp.tables.masking_comparison import PERCEPTION as TP
from merit_interp.tables.masking_comparison import REASONING as TR
from merit_interp.tables.masking_comparison import Comparison, cost_of_chosen, costs_of_sets
from merit_interp.tables.masking_effects import PRIMARY, MaskingRun
from merit_interp.tables.model_names import model_label
from merit_interp.tables.number_text import number_ends, number_text

LABELS = {
    TR: "Cost to reasoning (nats)",
    TP: "Cost to perception (nats)",
    "interaction": "Reasoning less perception (nats)",
}
COLOURS = {TR: REASONING.colour, TP: PERCEPTION.colour, "interaction": INK}
PANEL_PIXELS = 190


@dataclass(frozen=True)
class SetDistribution:
    """One number of the chosen set and of all others."""

    test: str
    """`reasoning`, `perception` or `interaction`."""
    chosen: float
    others: tuple[float, ...]
    """In nats of margin, one a set."""
    rank: int
    """Of the chosen set, 1 for the costliest."""
    p_value: float
    """One-sided, over sets."""
    low: float = math.nan
    """End of the chosen set's own 95% interval, over videos; NaN where undefined."""
    high: float = math.nan

    @property
    def words(self) -> tuple[str, str]:
        """What the chosen set costs, and where it stands."""
        ends = "no interval" if math.isnan(self.low) else number_ends(self.low, self.high, 2)
        standing = f"rank {self.rank} of {len(self.others) + 1}, p = {self.p_value:.2g}"
        return f"{number_text(self.chosen, 2)} ({ends})", standing


@dataclass(frozen=True)
class SetDistributions:
    """The chosen set against others, in one model."""

    model: str
    n_chosen: int
    """Layers of each set."""
    exhaustive: bool
    """Whether the others are all that there are."""
    distributions: tuple[SetDistribution, ...]

    def describe(self) -> str:
        """The figure in words."""
        if not self.distributions:
            return "There are no other sets of as many layers."
        return " ".join(
            f"{LABELS[d.test]}: the chosen layers {', '.join(d.words)}." for d in self.distributions
        )


def set_distributions(
    run: MaskingRun, comparisons: Sequence[Comparison], *, model: str
) -> SetDistributions:
    """The numbers behind the comparison of sets, in nats of margin.

    Args:
        run: The finished sweep.
        comparisons: As `compare` returns them.
        model: Which model.
    """
    effects = run.model(model)
    distributions: list[SetDistribution] = []
    for test in comparisons:
        if effects is None or math.isnan(test.p_value):
            continue
        if (test.model, test.outcome, test.family) != (model, PRIMARY, "together"):
            continue
        costs = {skill: costs_of_sets(effects, PRIMARY, skill) for skill in (TR, TP)}
        values = costs[TR] - costs[TP] if test.test == "interaction" else costs[test.test]
        others = tuple(values[effects.having("size_matched")].tolist())
        own = cost_of_chosen(effects, PRIMARY, test.test)
        distributions.append(
            SetDistribution(
                test.test, test.chosen, others, test.rank, test.p_value, own.low, own.high
            )
        )
    return SetDistributions(
        model, len(run.plan.chosen), run.plan.is_exhaustive, tuple(distributions)
    )


def draw_set_distributions(data: SetDistributions) -> go.Figure:
    """One histogram a number; a line marks the chosen set, a bar on it its interval."""
    count = max(1, len(data.distributions))
    height = 100 + PANEL_PIXELS * count
    figure = make_subplots(rows=count, cols=1, vertical_spacing=64 / height)
    n_others = len(data.distributions[0].others) if data.distributions else 0
    others = f"all {n_others} other sets" if data.exhaustive else f"{n_others} random sets"
    layers = "1 layer" if data.n_chosen == 1 else f"{data.n_chosen} layers"
    title = f"{model_label(data.model)}: the chosen layers against {others} of {layers}"
    styled(figure, title=title, height=height, readable=430)
    for row, distribution in enumerate(data.distributions, start=1):
        _draw_distribution(figure, distribution, row)
    marker = {"color": GREY, "symbol": "square", "size": 12, "opacity": 0.55}
    add_key(figure, "Other sets", marker=marker)
    add_key(
        figure, "The chosen layers, 95% interval by video", mode="lines+markers",
        line={"color": INK, "width": 3}, marker={"color": INK, "symbol": "diamond", "size": 9},
    )  # fmt: skip
    return figure.update_layout(bargap=0.06)


def _draw_distribution(figure: go.Figure, distribution: SetDistribution, row: int) -> None:
    counts, edges = histogram(distribution)
    colour = COLOURS[distribution.test]
    figure.add_bar(
        x=(edges[:-1] + edges[1:]) / 2, y=counts, width=np.diff(edges) * 0.94,
        marker={"color": GREY, "opacity": 0.55}, showlegend=False,
        customdata=[
            (number_text(low, 2), number_text(high, 2)) for low, high in itertools.pairwise(edges)
        ],
        hovertemplate="%{y} sets between %{customdata[0]} and %{customdata[1]}<extra></extra>",
        row=row, col=1,
    )  # fmt: skip
    # above the bars, room for two lines
    top = float(counts.max()) * 1.45
    figure.add_scatter(
        x=[distribution.chosen] * 2, y=[0, top], mode="lines",
        line={"color": colour, "width": 3}, hoverinfo="skip", showlegend=False, row=row, col=1,
    )  # fmt: skip
    figure.add_scatter(
        x=[distribution.chosen], y=[top / 2], mode="markers", showlegend=False,
        marker={"color": colour, "symbol": "diamond", "size": 9},
        error_x=interval_bars([(distribution.chosen, distribution.low, distribution.high)], colour),
        hovertemplate=", ".join(distribution.words) + "<extra></extra>", row=row, col=1,
    )  # fmt: skip
    middle = (edges[0] + edges[-1]) / 2
    figure.add_annotation(
        x=distribution.chosen, y=top, row=row, col=1, showarrow=False, yanchor="top",
        xanchor="right" if distribution.chosen > middle else "left",
        xshift=-6 if distribution.chosen > middle else 6,
        text="chosen: " + "<br>".join(distribution.words), align="left",
        font={"color": colour, "size": 12},
        bgcolor="rgba(255,255,255,0.8)",
    )  # fmt: skip
    figure.update_xaxes(title_text=LABELS[distribution.test], row=row, col=1)
    figure.update_yaxes(title_text="Sets", range=[0, top], row=row, col=1)


def histogram(distribution: SetDistribution) -> tuple[np.ndarray, np.ndarray]:
    """Counts of the other sets, and the edges between; the chosen set lies between the edges."""
    everything = [*distribution.others, distribution.chosen]
    low, high = min(everything), max(everything)
    room = (high - low) * 0.02 or 0.5
    bins = min(40, max(8, round(math.sqrt(len(distribution.others)) * 2)))
    edges = np.linspace(low - room, high + room, bins + 1)
    return np.histogram(distribution.others, bins=edges)[0], edges

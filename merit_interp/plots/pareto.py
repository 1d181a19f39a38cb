"""What reasoning costs in perception: every trial of a search, and those that nothing beats.

    figure = draw_pareto(pareto(trial_frame(run.trials, chosen=recipe.merge_hash), unit="nats"))

This file must not know how the trials were proposed, nor how the winner was chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from merit_interp.plots.style import GREY, INK, REASONING, plain, styled


@dataclass(frozen=True)
class ParetoTrial:
    """One trial, against the unmerged VLM on the search split."""

    number: int
    delta_tr: float
    delta_tp: float
    on_front: bool
    """Whether no other trial is at least as good on both skills and better on one."""
    is_chosen: bool
    """Whether the search ended in this recipe."""


@dataclass(frozen=True)
class Pareto:
    """All trials of a search, by falling change on perception."""

    trials: tuple[ParetoTrial, ...]
    unit: str
    """Unit of both changes."""

    @property
    def front(self) -> tuple[ParetoTrial, ...]:
        """The trials that nothing beats."""
        return tuple(trial for trial in self.trials if trial.on_front)

    @property
    def chosen(self) -> ParetoTrial | None:
        """The trial that the search ended in, if it is among them."""
        return next((trial for trial in self.trials if trial.is_chosen), None)

    def describe(self) -> str:
        """The figure in words."""
        if not self.trials:
            return "No trials."
        text = f"{len(self.trials)} trials, {len(self.front)} of them on the Pareto front."
        if self.chosen is None:
            return f"{text} None of them was chosen."
        return (
            f"{text} The chosen recipe, trial {self.chosen.number}, changed reasoning by "
            f"{self.chosen.delta_tr:+.3f} and perception by {self.chosen.delta_tp:+.3f} "
            f"{self.unit} on the search split."
        )


def pareto(trials: pd.DataFrame, *, unit: str) -> Pareto:
    """The trials of the search split.

    Args:
        trials: As `tables.item_frames.trial_frame` returns it.
        unit: Unit of `delta_tr` and `delta_tp`, for the axes.
    """
    rows = trials[trials["split"] == "search"].sort_values(
        ["delta_tp", "delta_tr"], ascending=False
    )
    return Pareto(
        tuple(
            ParetoTrial(int(number), float(tr), float(tp), bool(front), bool(chosen))
            for number, tr, tp, front, chosen in zip(
                rows["number"],
                rows["delta_tr"],
                rows["delta_tp"],
                rows["on_pareto_front"],
                rows["is_chosen"],
                strict=True,
            )
        ),
        unit,
    )


def draw_pareto(data: Pareto) -> go.Figure:
    """Change on perception against change on reasoning; up and to the right is better."""
    figure = go.Figure()
    beaten = [trial for trial in data.trials if not trial.on_front]
    figure.add_scatter(
        **_points(beaten), mode="markers", name="Trial",
        marker={"color": GREY, "symbol": "circle-open", "size": 6},
    )  # fmt: skip
    figure.add_scatter(
        **_points(data.front), mode="lines+markers", name="Pareto front",
        line={"color": REASONING.colour, "width": 1.5, "shape": "hv"},
        marker={"color": REASONING.colour, "symbol": "circle", "size": 8},
    )  # fmt: skip
    figure.add_scatter(
        x=[0.0], y=[0.0], mode="markers", name="Unmerged VLM", hoverinfo="name",
        marker={"color": INK, "symbol": "x", "size": 9},
    )  # fmt: skip
    if data.chosen is not None:
        figure.add_scatter(
            **_points([data.chosen]), mode="markers", name="Chosen recipe",
            marker={"color": "white", "symbol": "star", "size": 17,
                    "line": {"color": INK, "width": 2}},
        )  # fmt: skip
    styled(figure, title=f"Reasoning against perception, every trial ({data.unit})", height=440)
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    figure.add_vline(x=0, line={"color": GREY, "width": 1})
    figure.update_xaxes(title_text=plain(f"Change on perception vs VLM ({data.unit})"))
    figure.update_yaxes(title_text=plain(f"Change on reasoning vs VLM ({data.unit})"))
    return figure


def _points(trials: list[ParetoTrial] | tuple[ParetoTrial, ...]) -> dict[str, object]:
    return {
        "x": [trial.delta_tp for trial in trials],
        "y": [trial.delta_tr for trial in trials],
        "customdata": [trial.number for trial in trials],
        "hovertemplate": "trial %{customdata}: reasoning %{y:+.3f}, perception %{x:+.3f}"
        "<extra></extra>",
    }

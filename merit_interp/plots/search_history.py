"""How a search went: the objective trial by trial, the best so far, and what it is made of.

    figure = draw_search_history(search_history(trial_frame(run.trials), unit="nats"))

This file must not know which sampler proposed the trials.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from merit_interp.plots.style import GREY, INK, PERCEPTION, REASONING, Mark, plain, styled
from merit_interp.tables.number_text import number_text, signed_text


@dataclass(frozen=True)
class SearchHistory:
    """Trials in the order of their proposal, all on the search split."""

    numbers: tuple[int, ...]
    objective: tuple[float, ...]
    """J of each trial, in `unit`."""
    best_so_far: tuple[float, ...]
    delta_tr_points: tuple[float, ...]
    """Change of reasoning accuracy against the unmerged VLM, in points."""
    delta_tp_points: tuple[float, ...]
    unit: str
    """Unit of the objective."""

    def describe(self) -> str:
        """The figure in words."""
        if not self.numbers:
            return "No trials."
        best = max(range(len(self.numbers)), key=lambda i: self.objective[i])
        tr, tp = self.delta_tr_points[best], self.delta_tp_points[best]
        return (
            f"{len(self.numbers)} recipes were tried. The best objective so far rose from "
            f"{number_text(self.best_so_far[0], 3)} to {number_text(self.best_so_far[-1], 3)} "
            f"{self.unit}, reached at "
            f"trial {self.numbers[best]}, where reasoning changed by {signed_text(tr)} and "
            f"perception by {signed_text(tp)} points."
        )


def search_history(trials: pd.DataFrame, *, unit: str) -> SearchHistory:
    """The history of the search split.

    Args:
        trials: As `tables.item_frames.trial_frame` returns it.
        unit: Unit of the objective, for the axis.
    """
    rows = trials[trials["split"] == "search"].sort_values("number")
    return SearchHistory(
        numbers=tuple(int(n) for n in rows["number"]),
        objective=tuple(rows["objective"].tolist()),
        best_so_far=tuple(rows["best_so_far"].tolist()),
        delta_tr_points=tuple((100 * rows["delta_tr_accuracy"]).tolist()),
        delta_tp_points=tuple((100 * rows["delta_tp_accuracy"]).tolist()),
        unit=unit,
    )


def draw_search_history(history: SearchHistory) -> go.Figure:
    """Two panels over the trial's number: the objective with the best so far; dTR and dTP."""
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.09)
    figure.add_scatter(
        x=history.numbers, y=history.objective, mode="markers", name="One trial", row=1, col=1,
        marker={"color": GREY, "size": 5, "symbol": "circle-open"},
        customdata=[number_text(objective, 3) for objective in history.objective],
        hovertemplate="trial %{x}: J = %{customdata}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=history.numbers, y=history.best_so_far, mode="lines", name="Best so far", row=1, col=1,
        line={"color": INK, "width": 2, "shape": "hv"},
        customdata=[number_text(objective, 3) for objective in history.best_so_far],
        hovertemplate="best up to trial %{x}: J = %{customdata}<extra></extra>",
    )  # fmt: skip
    for mark, changes in (
        (REASONING, history.delta_tr_points),
        (PERCEPTION, history.delta_tp_points),
    ):
        figure.add_scatter(
            x=history.numbers, y=changes, mode="markers", name=mark.label, row=2, col=1,
            marker=_marker(mark), customdata=[signed_text(change) for change in changes],
            hovertemplate="trial %{x}: %{customdata} points<extra></extra>",
        )  # fmt: skip
    styled(figure, title="Search: objective and change in accuracy, trial by trial", height=520)
    for row in (1, 2):
        figure.add_hline(y=0, line={"color": GREY, "width": 1}, row=row, col=1)
    figure.update_yaxes(title_text=plain(f"Objective J ({history.unit})"), row=1, col=1)
    figure.update_yaxes(title_text="Change vs VLM (points)", row=2, col=1)
    figure.update_xaxes(title_text="Trial, in the order proposed", row=2, col=1)
    beside = 0.02 * (1 + len(history.numbers))
    figure.update_xaxes(range=[-beside, len(history.numbers) - 1 + beside])
    return figure


def _marker(mark: Mark) -> dict[str, object]:
    return {"color": mark.colour, "symbol": mark.symbol, "size": 6, "opacity": 0.8}

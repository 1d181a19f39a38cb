"""What reasoning costs in perception: every trial of a search, and those that nothing beats.

    figure = draw_pareto(pareto(trial_frame(run.trials, chosen=recipe.merge_hash), unit="nats"))

This file must not know how the trials were proposed, nor how the winner was chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from merit_interp.plots.style import GREY, INK, REASONING, interval_bars, plain, styled
from merit_interp.tables.number_text import signed_ends, signed_text


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
class ValidatedChange:
    """The chosen recipe on the validation split, whose items did not propose it."""

    delta_tr: tuple[float, float, float]
    """Change on reasoning, and the ends of its 95% interval by video."""
    delta_tp: tuple[float, float, float]

    @property
    def words(self) -> str:
        """Both changes with their intervals."""
        changes = (
            f"{skill} {signed_text(change, 3)} ({signed_ends(low, high, 3)})"
            for skill, (change, low, high) in (
                ("reasoning", self.delta_tr), ("perception", self.delta_tp),
            )
        )  # fmt: skip
        return ", ".join(changes)


@dataclass(frozen=True)
class Pareto:
    """All trials of a search, by falling change on perception."""

    trials: tuple[ParetoTrial, ...]
    unit: str
    """Unit of both changes."""
    validated: ValidatedChange | None = None
    """None where the search did not end in one of its trials, or did not record it."""

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
        text += (
            f" The chosen recipe, trial {self.chosen.number}, changed reasoning by "
            f"{signed_text(self.chosen.delta_tr, 3)} and perception by "
            f"{signed_text(self.chosen.delta_tp, 3)} {self.unit} on the search split"
        )
        if self.validated is None:
            return f"{text}."
        return f"{text}, and on validation: {self.validated.words} {self.unit}."


def pareto(trials: pd.DataFrame, *, unit: str, search: Mapping[str, Any] | None = None) -> Pareto:
    """The trials of the search split, and what became of the chosen one on validation.

    Args:
        trials: As `tables.item_frames.trial_frame` returns it.
        unit: Unit of `delta_tr` and `delta_tp`, for the axes.
        search: What the chosen recipe says of its search (`Recipe.search`).
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
        _validated(search or {}) if rows["is_chosen"].any() else None,
    )


def _validated(search: Mapping[str, Any]) -> ValidatedChange | None:
    measure = {"margin": "margin_nats"}.get(str(search.get("objective")), "accuracy")
    try:
        found = [
            search["scores"]["validation"][skill][measure] for skill in ("reasoning", "perception")
        ]
        tr, tp = (
            (float(change["delta"]), float(change["low"]), float(change["high"]))
            for change in found
        )
    # a recipe's search is whatever wrote it, by hand or by an earlier version
    except (KeyError, TypeError, ValueError):
        return None
    return ValidatedChange(tr, tp)


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
    if data.validated is not None:
        _draw_validated(figure, data.validated)
    styled(figure, title=f"Reasoning against perception, every trial ({data.unit})", height=440)
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    figure.add_vline(x=0, line={"color": GREY, "width": 1})
    figure.update_xaxes(title_text=plain(f"Change on perception vs VLM ({data.unit})"))
    figure.update_yaxes(title_text=plain(f"Change on reasoning vs VLM ({data.unit})"))
    return figure


def _draw_validated(figure: go.Figure, change: ValidatedChange) -> None:
    """Beside the star, which has no interval: it was picked for lying where it lies."""
    figure.add_scatter(
        x=[change.delta_tp[0]], y=[change.delta_tr[0]], mode="markers",
        name="The same on validation, 95% intervals",
        marker={"color": INK, "symbol": "diamond", "size": 9},
        error_x=interval_bars([change.delta_tp], INK),
        error_y=interval_bars([change.delta_tr], INK),
        hovertemplate=f"on validation: {change.words}<extra></extra>",
    )  # fmt: skip


def _points(trials: list[ParetoTrial] | tuple[ParetoTrial, ...]) -> dict[str, object]:
    return {
        "x": [trial.delta_tp for trial in trials],
        "y": [trial.delta_tr for trial in trials],
        "customdata": [
            (t.number, signed_text(t.delta_tr, 3), signed_text(t.delta_tp, 3)) for t in trials
        ],
        "hovertemplate": "trial %{customdata[0]}: reasoning %{customdata[1]}, perception "
        "%{customdata[2]}<extra></extra>",
    }

"""The map of skills over depth before and after merging: which layers each skill needs.

    figure = draw_depth(depth_profiles(layers, depth, chosen=(2, 4)))

This file must not know how a centre of mass is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from merit_interp.plots.masking_layers import (
    UNIT,
    LayerCost,
    cost_range,
    layer_axis,
    layer_importance,
    mark_layers,
)
from merit_interp.plots.style import (
    GREY,
    INK,
    SKILL_MARKS,
    add_band_key,
    add_key,
    interval_bars,
    plain,
    skills_in_order,
    styled,
)
from merit_interp.tables.masking_depth import BEFORE_AFTER, DepthMap, DepthNumber
from merit_interp.tables.model_names import MERGED, VLM, in_listing_order, model_label
from merit_interp.tables.number_text import number_ends, number_text

PANEL_PIXELS = 250
OFFSET = 0.09
DASHES = {VLM: "dot", MERGED: "solid"}


@dataclass(frozen=True)
class DepthProfile:
    """One skill in one model."""

    model: str
    skill: str
    costs: tuple[LayerCost, ...]
    """From the first layer to the last."""
    centre: DepthNumber | None
    """Centre of mass, a layer counted from 0."""
    participation: DepthNumber | None
    """How many layers carry it."""


@dataclass(frozen=True)
class DepthProfiles:
    """Both skills, before and after."""

    profiles: tuple[DepthProfile, ...]
    correlations: tuple[DepthNumber, ...]
    """Rank correlation of each skill's profiles before and after."""
    chosen: tuple[int, ...]
    n_layers: int

    def describe(self) -> str:
        """The figure in words."""
        parts = [
            f"{SKILL_MARKS[p.skill].label} in {model_label(p.model)}: centre of mass "
            f"{depth_text(p.centre)}, carried by {depth_text(p.participation)} layers."
            for p in self.profiles
        ]
        parts += [
            f"{SKILL_MARKS[c.skill].label}: rank correlation before and after {depth_text(c)}."
            for c in self.correlations
        ]
        return " ".join(parts)


def depth_text(number: DepthNumber | None) -> str:
    """A number with its interval."""
    if number is None or number.estimate != number.estimate:
        return "undefined (nothing is lost)"
    if number.low != number.low:
        return f"{number_text(number.estimate, 2)} (no interval)"
    return f"{number_text(number.estimate, 2)} ({number_ends(number.low, number.high, 2)})"


def depth_profiles(
    layers: pd.DataFrame, depth: DepthMap, *, chosen: Sequence[int]
) -> DepthProfiles:
    """Profiles with their numbers, VLM and merged model (any model, where these were not masked).

    Args:
        layers: As `tables.masking_depth.layer_frame` returns it.
        depth: As `tables.masking_depth.depth_map` returns it.
        chosen: Layers to mark.
    """
    importance = layer_importance(layers, chosen=chosen)
    profiles = [
        DepthProfile(
            model,
            skill,
            own,
            depth.number(model, skill, "centre_of_mass"),
            depth.number(model, skill, "participation_ratio"),
        )
        for model, costs in importance.panels
        for skill in ("reasoning", "perception")
        if (own := tuple(c for c in costs if c.skill == skill))
    ]
    models = {profile.model for profile in profiles}
    kept = models & {VLM, MERGED} or models
    correlations = tuple(
        number
        for skill in ("reasoning", "perception")
        if (number := depth.number(BEFORE_AFTER, skill, "rank_correlation")) is not None
    )
    return DepthProfiles(
        tuple(p for p in profiles if p.model in kept),
        correlations,
        tuple(chosen),
        importance.n_layers,
    )


def draw_depth(data: DepthProfiles) -> go.Figure:
    """Layer against cost, one panel a skill, one line a model; triangles mark centres of mass."""
    skills = skills_in_order(p.skill for p in data.profiles)
    count = max(1, len(skills))
    height = 120 + PANEL_PIXELS * count
    figure = make_subplots(
        rows=count, cols=1, shared_xaxes=True, vertical_spacing=50 / height,
        subplot_titles=[_panel_title(data, skill) for skill in skills] or None,
    )  # fmt: skip
    figure.update_annotations(font={"size": 13, "color": INK}, x=0, xanchor="left")
    title = (
        f"How much each skill needs each layer: cost of masking it alone ({UNIT}, 95% intervals)"
    )
    styled(figure, title=title, height=height, readable=640)
    low, top = cost_range([cost for profile in data.profiles for cost in profile.costs])
    for row, skill in enumerate(skills, start=1):
        own = [p for p in data.profiles if p.skill == skill]
        for order, model in enumerate(in_listing_order(p.model for p in own)):
            profile = next(p for p in own if p.model == model)
            _draw_profile(figure, profile, OFFSET * (2 * order - len(own) + 1), row)
            _draw_centre(figure, profile, top * (1.1 + 0.12 * order), row)
        mark_layers(figure, data.chosen, row)
        ends = [low - 0.06 * (top - low), 1.32 * top]
        figure.update_yaxes(title_text="Cost (nats)", range=ends, row=row, col=1)
    _add_keys(figure, data)
    layer_axis(figure, data.n_layers, row=count)
    # the first panel's title stands between legend and panel
    return figure.update_layout(margin_t=figure.layout.margin.t + 20)


def _add_keys(figure: go.Figure, data: DepthProfiles) -> None:
    """What the marks mean, in grey and ink, as the skills have the colours."""
    for model in in_listing_order(p.model for p in data.profiles):
        colour = GREY if model == VLM else INK
        add_key(
            figure, _name(model), mode="lines+markers",
            line={"color": colour, "dash": DASHES.get(model, "dash"), "width": 2},
            marker={"symbol": _symbol(model), "size": 7, "color": colour,
                    "line": {"width": 2, "color": colour}},
        )  # fmt: skip
    if any(p.centre is not None for p in data.profiles):
        look = {"symbol": "triangle-down", "size": 12, "color": INK}
        line = {"color": INK, "width": 2}
        add_key(
            figure, "Centre of mass, 95% interval", mode="lines+markers", marker=look, line=line
        )
    if data.chosen:
        add_band_key(figure)


def _name(model: str) -> str:
    return {VLM: "Before (VLM)", MERGED: "After (merged)"}.get(model, model_label(model))


def _symbol(model: str) -> str:
    return "circle-open" if model == VLM else "circle"


def _panel_title(data: DepthProfiles, skill: str) -> str:
    label = f"<b>{SKILL_MARKS[skill].label}</b>"
    found = next((c for c in data.correlations if c.skill == skill), None)
    if found is None:
        return label
    return f"{label}  rank correlation before and after {depth_text(found)}"


def _draw_profile(figure: go.Figure, profile: DepthProfile, shift: float, row: int) -> None:
    colour = _colour(profile)
    dash = DASHES.get(profile.model, "dash")
    name = plain(_name(profile.model))
    figure.add_scatter(
        x=[c.layer + shift for c in profile.costs], y=[c.cost for c in profile.costs],
        mode="lines+markers", name=name, showlegend=False,
        line={"color": colour, "dash": dash, "width": 2},
        marker={"symbol": _symbol(profile.model), "size": 7, "line": {"width": 2, "color": colour}},
        error_y=interval_bars([(p.cost, p.low, p.high) for p in profile.costs], colour),
        customdata=[f"layer {c.layer}: {c.text()}" for c in profile.costs],
        hovertemplate=name + ", %{customdata}<extra></extra>",
        row=row, col=1,
    )  # fmt: skip


def _draw_centre(figure: go.Figure, profile: DepthProfile, level: float, row: int) -> None:
    centre = profile.centre
    if centre is None or centre.estimate != centre.estimate:
        return
    colour = _colour(profile)
    ends = [centre.low, centre.high] if centre.low == centre.low else [centre.estimate] * 2
    figure.add_scatter(
        x=ends, y=[level] * 2, mode="lines", line={"color": colour, "width": 2},
        showlegend=False, hoverinfo="skip", row=row, col=1,
    )  # fmt: skip
    figure.add_scatter(
        x=[centre.estimate], y=[level], mode="markers",
        marker={"symbol": "triangle-down", "size": 12, "color": colour},
        showlegend=False, row=row, col=1,
        hovertemplate=f"centre of mass {depth_text(centre)}<extra></extra>",
    )  # fmt: skip


def _colour(profile: DepthProfile) -> str:
    return GREY if profile.model == VLM else SKILL_MARKS[profile.skill].colour

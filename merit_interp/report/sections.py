"""The sections of a report, each one function and one template, listed once in `SECTIONS`.

    for section in sections(findings): section.title, section.html

A section that the run has no records for is None and does not appear. To add one: write its
function, its `templates/NAME.html.jinja`, and its line in `SECTIONS`. This file must not compute a
number.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from merit_interp.plots.style import (
    SKILL_MARKS,
    skills_in_order,
)
from merit_interp.report import wording
from merit_interp.report.attribution import attribution_part
from merit_interp.report.figures import (
    control_figures,
    recipe_figure,
    search_figures,
    skill_figures,
)
from merit_interp.report.findings import Findings
from merit_interp.report.lens import lens_part
from merit_interp.report.masking import masking_part
from merit_interp.report.parts import TITLES, made_by
from merit_interp.tables.answers import notable_letters, unread_lines
from merit_interp.tables.model_names import MERGED, RANDOM_LAYERS, VLM, model_label
from merit_interp.tables.run_tables import tables_of_answers
from merit_interp.tables.skills import ALL
from merit_interp.tables.verdict import ANSWERS, SLACK_TEXT, held_out_text

TEMPLATES = Path(__file__).parent / "templates"
FEW_RECIPES = 10
"""Over fewer recipes the page warns of rank correlations."""


@dataclass(frozen=True)
class Section:
    """One part of the page."""

    anchor: str
    """Its id in the page."""
    title: str
    html: Markup


def sections(findings: Findings) -> list[Section]:
    """All sections that the run has records for, in reading order."""
    left_out = () if findings.part is None else OF_A_WHOLE_STUDY
    made = (make(findings) for make in SECTIONS if make not in left_out)
    return [section for section in made if section is not None]


def verdict_section(findings: Findings) -> Section | None:
    """Before and after in two numbers, and each claim with what decides it."""
    verdict = findings.verdict
    if verdict is None:
        return None
    rows = findings.summary[findings.summary["item_set"] == verdict.item_set]
    tiles = [
        {"skill": SKILL_MARKS[skill].label, "vlm": vlm, "merged": merged}
        for skill in ("reasoning", "perception")
        if (vlm := _row(rows, VLM, skill)) is not None
        and (merged := _row(rows, MERGED, skill)) is not None
    ]
    return _section(
        "verdict", "In short", "verdict.html.jinja",
        verdict=verdict, tiles=tiles, n_validated=len(findings.run.validation),
        held_out=[held_out_text(one.name, findings.held_out) for one in verdict.claims],
        answers=ANSWERS, slack=SLACK_TEXT,
    )  # fmt: skip


def recipe_section(findings: Findings) -> Section | None:
    """The recipe as a picture."""
    figure = recipe_figure(findings)
    if figure is None:
        return None
    return _section(
        "recipe", "The recipe", "recipe.html.jinja", recipe=findings.run.recipe, figure=figure
    )


def skills_section(findings: Findings) -> Section | None:
    """Before and after on every item set, the baselines, and all numbers."""
    if findings.summary.empty:
        return None
    item_sets = list(dict.fromkeys(findings.summary["item_set"]))
    skills = skills_in_order(findings.summary["skill"])
    tables = {name: _models_table(findings.summary, name, skills) for name in item_sets}
    categories = findings.categories[findings.categories["category"] != ALL]
    return _section(
        "skills", "Before and after", "skills.html.jinja",
        skills=[SKILL_MARKS[skill].label for skill in skills],
        before_after=[
            {"item_set": name, "cells": _pair_cells(findings.summary, name, skills)}
            for name in item_sets
        ],
        figures=skill_figures(findings), tables=tables,
        categories={
            name: _category_rows(categories[categories["item_set"] == name]) for name in item_sets
        },
        n_failed=int(findings.summary["n_failed"].max()),
    )  # fmt: skip


def answers_section(findings: Findings) -> Section | None:
    """How answers came, where they were generated, asked in every order, or a letter is liked."""
    if findings.part is not None:
        return None
    tables = tables_of_answers(findings.run, models=(VLM, MERGED))
    lines = [*unread_lines(tables["answers_read"]), *notable_letters(tables["letter_prior"])]
    circular = tables["circular"]
    if not lines and circular.empty:
        return None
    return _section(
        "answers", "How the answers came", "answers.html.jinja",
        lines=lines, rows=_records(circular),
    )  # fmt: skip


def controls_section(findings: Findings) -> Section | None:
    """Whether the answers need the video, and whether merging changes that."""
    table = findings.controls
    if table.empty:
        return None
    figures = control_figures(findings)
    sets = [
        {
            "name": name,
            "first": next(iter(words.values())),
            "others": [line for lines in list(words.values())[1:] for line in lines],
            "figure": figures.get(name),
            "rows": _records(table[(table["item_set"] == name) & (table["category"] == ALL)]),
        }
        for name, words in findings.control_words.items()
    ]
    return _section("controls", "Do the answers need the video", "controls.html.jinja", sets=sets)


def pairs_section(findings: Findings) -> Section | None:
    """Questions that come in pairs: how often every answer of a pair is right."""
    pairs = findings.pairs[findings.pairs["model"].isin([VLM, MERGED])]
    if pairs.empty:
        return None
    return _section(
        "pairs", "Pairs of questions", "pairs.html.jinja", rows=_records(pairs),
        n_left_out=int(pairs[["n_incomplete", "n_failed"]].sum(axis=1).max()),
    )  # fmt: skip


def masking_section(findings: Findings) -> Section | None:
    """Which layers' self-attention each skill needs, and whether the recipe's are special."""
    part = masking_part(findings.run.directory)
    if part is None:
        return None
    return _section("layers", "Which layers the answers need", "masking.html.jinja", part=part)


def attribution_section(findings: Findings) -> Section | None:
    """Which frames decide, and whether merging moves that to the evidence."""
    part = attribution_part(findings.run.directory)
    if part is None:
        return None
    return _section("frames", "Which frames decide", "attribution.html.jinja", part=part)


def lens_section(findings: Findings) -> Section | None:
    """What can be read off layers and heads, and what merging changes of it."""
    part = lens_part(findings.run.directory)
    if part is None:
        return None
    return _section("lens", "Inside layers and heads", "lens.html.jinja", part=part)


def search_section(findings: Findings) -> Section | None:
    """How the search went."""
    figures = search_figures(findings)
    if not figures:
        return None
    recipe = findings.run.recipe
    return _section(
        "search", "The search", "search.html.jinja",
        figures=figures, n_trials=len(findings.run.trials), unit=findings.unit,
        settings=dict(recipe.search) if recipe else {}, reason=findings.search_reason,
        n_validated=len(findings.run.validation), few=FEW_RECIPES,
    )  # fmt: skip


def training_section(findings: Findings) -> Section | None:
    """TR and TP after each stage of the embedded pair's training."""
    stages = (findings.run.training or {}).get("stages")
    if not isinstance(stages, dict) or not stages:
        return None
    return _section(
        "training", "Where the loss came from", "training.html.jinja",
        stages=[{"name": name, **stage} for name, stage in stages.items()],
    )  # fmt: skip


def provenance_section(findings: Findings) -> Section | None:
    """What made the run: enough to make it again."""
    made = made_by(findings.run.directory)
    if not made:
        return None
    return _section(
        "provenance", "How to make it again", "provenance.html.jinja",
        commands=[shlex.join(one.record.command) for one in made],
        records=[(TITLES[one.part], one.record, _json(one.record.settings)) for one in made],
        directory=findings.run.directory.resolve().name,
    )  # fmt: skip


SECTIONS: tuple[Callable[[Findings], Section | None], ...] = (
    verdict_section,
    recipe_section,
    skills_section,
    answers_section,
    controls_section,
    pairs_section,
    masking_section,
    attribution_section,
    lens_section,
    search_section,
    training_section,
    provenance_section,
)
OF_A_WHOLE_STUDY = (
    verdict_section,
    skills_section,
    answers_section,
    controls_section,
    pairs_section,
)
"""Not on the page of a part, which scores few items and no baseline."""


def _json(settings: Mapping[str, Any]) -> str:
    return json.dumps(dict(settings), indent=2, ensure_ascii=False)


def _section(anchor: str, title: str, template: str, **values: object) -> Section:
    return Section(anchor, title, render(template, **values))


def render(template: str, **values: object) -> Markup:
    """A template of this room, filled; every value is escaped that is not `Markup`."""
    return Markup(_environment().get_template(template).render(**values))


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("percent", "change", "probability", "spaced"):
        environment.filters[name] = getattr(wording, name)
    for name in ("ends", "change_ends", "direction"):
        environment.globals[name] = getattr(wording, name)
    environment.filters["model"] = model_label
    environment.filters["skill"] = _skill_label
    return environment


def _skill_label(skill: str) -> str:
    return SKILL_MARKS[skill].label if skill in SKILL_MARKS else skill.capitalize()


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]


def _row(rows: pd.DataFrame, model: str, skill: str) -> dict[str, Any] | None:
    found = rows[(rows["model"] == model) & (rows["skill"] == skill)]
    return None if found.empty else {str(k): v for k, v in found.iloc[0].items()}


def _pair_cells(summary: pd.DataFrame, item_set: str, skills: Sequence[str]) -> list[Any]:
    rows = summary[summary["item_set"] == item_set]
    return [(_row(rows, VLM, skill), _row(rows, MERGED, skill)) for skill in skills]


def _models_table(
    summary: pd.DataFrame, item_set: str, skills: Sequence[str]
) -> list[tuple[str, list[dict[str, Any] | None]]]:
    """(model's label, its row for each skill) in listing order."""
    rows = summary[summary["item_set"] == item_set]
    models = dict.fromkeys(rows["model"])
    return [(_label(rows, m), [_row(rows, m, skill) for skill in skills]) for m in models]


def _label(rows: pd.DataFrame, model: str) -> str:
    if model != RANDOM_LAYERS:
        return model_label(model)
    draws = rows.loc[rows["model"] == model, "n_draws"].max()
    return f"{model_label(model)}, mean of {draws} draws"


def _category_rows(categories: pd.DataFrame) -> list[dict[str, Any]]:
    """One entry a category: its skill, and its row under both models."""
    return [
        {"skill": SKILL_MARKS[str(skill)].label, "category": category,
         "vlm": _row(rows, VLM, str(skill)), "merged": _row(rows, MERGED, str(skill))}
        for (skill, category), rows in categories.groupby(["skill", "category"], sort=False)
    ]  # fmt: skip

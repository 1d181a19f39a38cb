"""What a lens run found, in five lines: states, attention, heads, direct parts, and how far to go.

    verdict = judge_lens(run, layers, attention, heads, groups)
    print(verdict.text)

What an interval does not show is said not to be shown. Only masking a head intervenes; the other
lines describe, and the last one says so. This file must not know how the lines are shown.
"""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass
from typing import Any

import pandas as pd

from merit_interp.statistics.layered_correlation import LayeredCorrelation
from merit_interp.tables.lens_attention import ALL
from merit_interp.tables.lens_change_cost import change_against_cost
from merit_interp.tables.lens_frames import SKILLS, LensRun
from merit_interp.tables.lens_heads import heads_shown
from merit_interp.tables.lens_layers import CHANGE, onset
from merit_interp.tables.masking_effects import layers_text
from merit_interp.tables.model_names import MERGED, VLM, model_label

ALPHA = 0.05
ENGINE_NAMES = {"transformer_lens": "TransformerLens", "modules": "transformers' own modules"}


@dataclass(frozen=True)
class LensVerdict:
    """The lines."""

    states: str
    """At which layers the right option can be read off, and whether merging moves that."""
    attention: str
    """How much heads look at the video before and after merging."""
    heads: str
    """Which heads changed, which matter, and whether these are the same ones."""
    direct: str
    """What speaks to the output itself."""
    checks: str
    """How the models were read, and what the other lines do not show."""

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines in order."""
        return self.states, self.attention, self.heads, self.direct, self.checks

    @property
    def text(self) -> str:
        """The lines in one text."""
        return "\n".join(self.lines)

    def to_json(self) -> dict[str, Any]:
        """The verdict as JSON values."""
        return dataclasses.asdict(self)


def judge_lens(
    run: LensRun,
    layers: pd.DataFrame,
    attention: pd.DataFrame,
    heads: pd.DataFrame,
    groups: pd.DataFrame,
) -> LensVerdict:
    """Judge a run.

    Args:
        run: The finished run.
        layers: As `layer_lens_frame` returns it.
        attention: As `attention_frame` returns it.
        heads: As `head_frame` returns it.
        groups: As `direct_groups` returns it.
    """
    return LensVerdict(
        *(
            _typeset(line)
            for line in (
                _states(layers),
                _attention(attention),
                _heads(run, heads),
                _direct(run, groups),
                _checks(run),
            )
        )
    )


def _states(layers: pd.DataFrame) -> str:
    parts = []
    for skill in SKILLS:
        rows = layers[(layers["skill"] == skill) & (layers["measure"] == "margin_nats")]
        if rows.empty:
            parts.append(f"there are no {skill} items")
            continue
        last = rows[rows["after_layer"] == rows["after_layer"].max()]
        change = _one(last, "model", CHANGE)
        text = f"{skill} ends at {_value(_one(last, 'model', VLM))} nats of margin in the VLM"
        if change is not None:
            text += f", and merging changes that by {_value(change)}; {_begin(layers, skill)}"
        parts.append(text)
    return f"Logit lens: {'; '.join(parts)}."


def _begin(layers: pd.DataFrame, skill: str) -> str:
    found = onset(layers, skill)
    if found is None:
        return "no difference is shown that lasts to the last layer"
    side = "ahead" if found.sign > 0 else "behind"
    where = "the embedding" if found.after_layer < 0 else f"layer {found.after_layer}"
    return f"the merged model is {side} after {where} and every layer above it"


def _attention(attention: pd.DataFrame) -> str:
    video = attention[(attention["kind"] == "visual") & (attention["position"] == "answer")]
    parts = []
    for skill in SKILLS:
        rows = video[(video["skill"] == skill) & (video["head"] == ALL)]
        overall = rows[rows["layer"] == ALL]
        vlm, merged, change = (_one(overall, "model", name) for name in (VLM, MERGED, CHANGE))
        if vlm is None:
            continue
        text = f"{100 * vlm['share']:.1f}% in the VLM"
        if merged is not None and change is not None:
            own = rows[(rows["model"] == CHANGE) & (rows["layer"] != ALL)]
            top = own.iloc[int(own["share"].abs().to_numpy().argmax())]
            text += (
                f" and {100 * merged['share']:.1f}% in the merged model ({_moved(change)}; most in "
                f"layer {top['layer']}, {_points(top)})"
            )
        parts.append(f"on {skill} {text}")
    if not parts:
        return "Attention: no item has a video."
    return (
        "Attention of the answer's position to the video, mean over layers and heads: "
        f"{'; '.join(parts)}."
    )


def _moved(change: pd.Series) -> str:
    word = "not shown to differ"
    if change["low"] > 0:
        word = "more"
    elif change["high"] < 0:
        word = "less"
    return f"{word}: {_points(change)} points, {_ends(change, scale=100.0, digits=1)}"


def _heads(run: LensRun, heads: pd.DataFrame) -> str:
    if not run.plan.layers:
        return "Heads: the recipe merges no layer, so no heads are compared."
    parts = []
    first = heads[heads["skill"] == SKILLS[0]]
    if first["share_all"].notna().any():
        top = first.iloc[int(first["share_all"].to_numpy().argmax())]
        parts.append(
            f"in weights {_named(top)} changed most ({100 * top['share_all']:.0f}% of its norm)"
        )
    if first["output_change"].notna().any():
        top = first.iloc[int(first["output_change"].to_numpy().argmax())]
        parts.append(f"in output {_named(top)} ({100 * top['output_change']:.0f}%)")
    model = MERGED if heads["cost_merged"].notna().any() else VLM
    for skill in SKILLS:
        rows = heads[(heads["skill"] == skill) & heads[f"cost_{model}"].notna()]
        if len(rows):
            parts.append(_masked(rows, skill, model))
    if model == MERGED:
        parts.append(_same_heads(heads))
    noun = "layer" if len(run.plan.layers) == 1 else "layers"
    return (
        f"Heads of {noun} {layers_text(run.plan.layers)}: "
        f"{'; '.join(part for part in parts if part)}."
    )


def _masked(rows: pd.DataFrame, skill: str, model: str) -> str:
    """How many heads are shown to matter, and which of these most."""
    cost = f"cost_{model}"
    shown = rows[heads_shown(rows, model)]
    text = f"masking a single one is shown to change {skill} for {len(shown)} of {len(rows)}"
    if shown.empty:
        return text
    top = shown.iloc[int(shown[cost].to_numpy().argmax())]
    word = "greatest cost of these"
    if top[cost] <= 0:
        top = shown.iloc[int(shown[cost].to_numpy().argmin())]
        word = "each helps when masked; most"
    return f"{text} ({word}: {_named(top)}, {top[cost]:.2f} nats of margin, {_ends(top, cost)})"


def _same_heads(heads: pd.DataFrame) -> str:
    """Whether heads that changed more matter more, in the merged model and before merging."""
    found = change_against_cost(heads, SKILLS[0], model=MERGED)
    if math.isnan(found.p_value):
        return ""
    before = change_against_cost(heads, SKILLS[0], model=VLM)
    return (
        "with depth held fixed, heads whose weights changed more "
        f"{_CLAIMS[_side(found)]} ({_correlated(found)}{_before(before, found)})"
    )


_CLAIMS = {
    0: "are not shown to cost reasoning more or less when masked",
    1: "cost reasoning more when masked",
    -1: "cost reasoning less when masked",
}


def _side(found: LayeredCorrelation) -> int:
    """Above or below what depth alone gives; 0 where neither is shown."""
    if not found.p_value < ALPHA:
        return 0
    return 1 if found.estimate > found.by_layers else -1


def _before(before: LayeredCorrelation, found: LayeredCorrelation) -> str:
    """The same in the VLM, which merging has not touched; empty where it was not masked."""
    if math.isnan(before.p_value):
        return ""
    where = "in the unmerged VLM, too"
    if _side(before) != _side(found):
        where = f"in the unmerged VLM they {_CLAIMS[_side(before)]}"
    return f"; {where}: {_correlated(before)}"


def _correlated(found: LayeredCorrelation) -> str:
    return (
        f"rank correlation {found.estimate:+.2f}, {found.by_layers:+.2f} with heads exchanged "
        f"within layers, p = {found.p_value:.2g}"
    )


def _direct(run: LensRun, groups: pd.DataFrame) -> str:
    reasons = {check.no_direct for check in run.checks.values() if check.no_direct}
    rows = groups[groups["skill"] == SKILLS[0]]
    if rows.empty:
        why = "; ".join(sorted(reasons)) or f"there are no {SKILLS[0]} items"
        return f"Direct parts: none, since {why}."
    change = rows[rows["model"] == CHANGE]
    if change.empty:
        own = rows[rows["model"] == VLM]
        margin = _value(_one(own, "part", "margin"))
        return f"Direct parts of the VLM's {margin} nats on reasoning: {_said(own)}."
    return (
        f"Direct parts of what merging changes on reasoning, "
        f"{_value(_one(change, 'part', 'margin'))} nats: {_said(change)}; what a head does through "
        "later layers is counted there."
    )


def _said(rows: pd.DataFrame) -> str:
    labels = {
        "chosen_heads": "heads of the recipe's layers", "other_heads": "other heads", "mlps": "MLPs"
    }  # fmt: skip
    return ", ".join(f"{labels[name]} {_value(_one(rows, 'part', name))}" for name in labels)


def _checks(run: LensRun) -> str:
    by_engine: dict[str, list[str]] = {}
    for name, check in run.checks.items():
        engine = ENGINE_NAMES[check.engine]
        if check.engine == "transformer_lens":
            engine += f" {run.provenance.versions.get('transformer-lens', '')}".rstrip()
        by_engine.setdefault(engine, []).append(model_label(name))
    read = " and ".join(f"{engine} ({', '.join(names)})" for engine, names in by_engine.items())
    worst = max(check.logit_difference for check in run.checks.values())
    equal = "equal to transformers'" if worst == 0 else f"within {worst:.1g} of transformers'"
    text = (
        f"Checks: read through {read}, logits {equal}. Intervals hold for one layer at a time; "
        "p-values of heads are corrected (Holm). Lens, attention and direct parts describe; only "
        "masking a head intervenes, one head at a time, so none of this shows why merging helps."
    )
    for name, why in run.plan.left_out.items():
        text += f" {model_label(name)} was not read: {why}."
    return text


def _named(row: pd.Series) -> str:
    return f"head {row['head']} of layer {row['layer']}"


def _one(rows: pd.DataFrame, column: str, value: str) -> pd.Series | None:
    found = rows[rows[column] == value]
    return None if found.empty else found.iloc[0]


def _value(row: pd.Series | None) -> str:
    """A mean with its interval."""
    assert row is not None  # asked for only where there are items
    number = float(row["value"] if "value" in row.index else row["nats"])
    return f"{number:+.2f} ({_ends(row)})"


def _points(row: pd.Series) -> str:
    return f"{100 * row['share']:+.1f}"


def _ends(row: pd.Series, name: str = "", *, scale: float = 1.0, digits: int = 2) -> str:
    prefix = f"{name}_" if name else ""
    low, high = (scale * float(row[f"{prefix}{end}"]) for end in ("low", "high"))
    if math.isnan(low):
        return "interval undefined"
    return f"95% {low:+.{digits}f} to {high:+.{digits}f}"


def _typeset(text: str) -> str:
    """Zero without a sign, and a minus as wide as a plus."""
    return re.sub(r"(?<!e)-(?=\d)", "−", re.sub(r"[-+](?=0\.00?(?!\d))", "", text))

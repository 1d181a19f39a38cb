"""Records of an attribution run to a tidy frame: a row for each item, model, condition and method.

    frame = attribution_frame(read_attribution(Path("runs/demo/attribute")).records)
    frame["excess_mass"]

Columns are `ATTRIBUTION_COLUMNS`, also where there are no rows; what the data do not define is NaN.
This file must not aggregate: `attribution_shift` does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from merit_interp.attribution.evidence import evidence_metrics
from merit_interp.errors import RunError
from merit_interp.record_files import read_finished, read_jsonl
from merit_interp.records import AttributedItem, FrameAttribution
from merit_interp.statistics.correlation import spearman
from merit_interp.tables.model_names import MERGED, VLM

VIDEO = "video"
"""The condition that is no control."""

ATTRIBUTION_COLUMNS = {
    "item_set": "str",
    "model": "str",
    "condition": "str",
    "method": "str",
    "skill": "str",
    "category": "str",
    "group": "str",
    "item": "str",
    "turned": "str",
    "status": "str",
    "correct": "float64",
    "steps": "int64",
    "completeness_error": "float64",
    "flagged": "bool",
    "n_units": "int64",
    "evidence_share": "float64",
    "mass": "float64",
    "excess_mass": "float64",
    "excess_positive_mass": "float64",
    "pointing": "float64",
    "excess_pointing": "float64",
    "average_precision": "float64",
    "excess_precision": "float64",
    "deletion_excess_nats": "float64",
    "insertion_excess_nats": "float64",
    "agreement": "float64",
}
"""`turned` is what merging did to the item's answer (`right`, `broken`, `kept_right`,
`kept_wrong`); each `excess_` is beyond chance; `deletion_` and `insertion_excess_nats` are the
evidence's effect less that of as many other frames; `agreement` is the rank correlation with the
run's main method on the same item."""


@dataclass(frozen=True, eq=False)
class AttributionRun:
    """What an attribution run wrote down."""

    directory: Path
    records: tuple[FrameAttribution, ...]
    items: tuple[AttributedItem, ...]
    is_finished: bool
    masked_layers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Layers without self-attention, by the model that lacks them; empty where the run, older than
    that, does not say."""

    @property
    def method(self) -> str:
        """The run's main method: the one that controls and random layers went through."""
        return main_method(self.records)


def read_attribution(directory: Path) -> AttributionRun:
    """Read the directory of an attribution run.

    Raises:
        RunError: There is no such run, a file of it is damaged or of another version, or it
            was changed after the run ended.
    """
    directory = Path(directory)
    path = directory / "attributions.jsonl"
    if not path.exists():
        raise RunError(
            f"no attributions at {directory}", valid="what `merit-interp attribute` wrote"
        )
    finished = read_finished(directory)
    try:
        records = tuple(FrameAttribution.from_row(row) for row in read_jsonl(path))
        rows = read_jsonl(directory / "attributed_items.jsonl")
        items = tuple(AttributedItem.from_row(row) for row in rows)
    except TypeError as error:
        fault = str(error).partition("() ")[2] or str(error)
        raise RunError(f"{directory} holds records of another version: {fault}") from None
    shown = {(item.item_set, item.item) for item in items}
    lost = [r.item for r in records if r.status == "ok" and (r.item_set, r.item) not in shown]
    if lost:
        raise RunError(
            f"{directory / 'attributed_items.jsonl'} lacks item {lost[0]}; run it again with "
            "--resume"
        )
    masked = {name: tuple(own) for name, own in (finished or {}).get("masked_layers", {}).items()}
    return AttributionRun(directory, records, items, finished is not None, masked)


def main_method(records: Iterable[FrameAttribution]) -> str:
    """The method of the first records: a run starts with its main one."""
    return next((record.method for record in records), "")


def attribution_frame(records: Iterable[FrameAttribution]) -> pd.DataFrame:
    """One row a record.

    Returns:
        A frame with `ATTRIBUTION_COLUMNS`, in the order of the records.
    """
    records = tuple(records)
    method = main_method(records)
    main = {
        (r.item_set, r.item, r.model, r.condition): r for r in records if r.method == method
    }  # fmt: skip
    rows = [_row(record, main) for record in records]
    return pd.DataFrame(rows, columns=list(ATTRIBUTION_COLUMNS)).astype(ATTRIBUTION_COLUMNS)


Main = Mapping[tuple[str, str, str, str], FrameAttribution]


def _row(record: FrameAttribution, main: Main) -> dict[str, Any]:
    metrics = evidence_metrics(record.scores, record.in_evidence or (False,) * len(record.scores))
    return {
        "item_set": record.item_set,
        "model": record.model,
        "condition": record.condition,
        "method": record.method,
        "skill": record.skill,
        "category": record.category,
        "group": record.group,
        "item": record.item,
        "turned": _turned(record, main),
        "status": record.status,
        "correct": float(record.correct) if record.status == "ok" else math.nan,
        "steps": record.steps,
        "completeness_error": record.completeness_error,
        "flagged": record.flagged,
        "n_units": len(record.scores),
        "evidence_share": metrics.share,
        "mass": metrics.mass,
        "excess_mass": metrics.excess_mass,
        "excess_positive_mass": metrics.excess_positive_mass,
        "pointing": metrics.pointing,
        "excess_pointing": metrics.excess_pointing,
        "average_precision": metrics.average_precision,
        "excess_precision": metrics.excess_precision,
        "deletion_excess_nats": _excess(record.deletion_evidence_nats, record.deletion_others_nats),
        "insertion_excess_nats": _excess(
            record.insertion_evidence_nats, record.insertion_others_nats
        ),
        "agreement": _agreement(record, main),
    }


def _excess(evidence: float | None, others: float | None) -> float:
    return math.nan if evidence is None or others is None else evidence - others


def _turned(record: FrameAttribution, main: Main) -> str:
    """What merging did to the answer on the unaltered video; empty where it is not known."""
    keys = ((record.item_set, record.item, model, VIDEO) for model in (VLM, MERGED))
    vlm, merged = (main.get(key) for key in keys)
    if vlm is None or merged is None or {vlm.status, merged.status} != {"ok"}:
        return ""
    names = {
        (False, True): "right",
        (True, False): "broken",
        (True, True): "kept_right",
        (False, False): "kept_wrong",
    }
    return names[vlm.correct, merged.correct]


def _agreement(record: FrameAttribution, main: Main) -> float:
    other = main.get((record.item_set, record.item, record.model, record.condition))
    if other is None or other.method == record.method or len(record.scores) < 2:
        return math.nan
    if len(other.scores) != len(record.scores):
        return math.nan
    return spearman(record.scores, other.scores, resamples=1).estimate

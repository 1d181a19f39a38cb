"""Attribution runs with made-up scores, for tests of tables, plots and report.

Nothing here was measured: the mass on the evidence is what this file sets, so that a test knows
what a table must find.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from merit_interp.attribution.video_items import thumbnail
from merit_interp.record_files import JsonlAppender, write_json
from merit_interp.records import AttributedItem, FrameAttribution, Skill
from tests.videos_on_disk import frames_of_levels

UNITS = 8
MASS = {
    "vlm": 0.20,
    "merged": 0.50,
    "random_layers_00": 0.22,
    "random_layers_01": 0.24,
    "masked": 0.18,
    "masked_others_00": 0.48,
    "randomised_00": 0.125,
    "randomised_01": 0.125,
}
"""Mean share of the absolute attribution that lies on the one evidence frame of eight."""


@dataclass(frozen=True)
class MadeUp:
    """How much is made up."""

    videos: int = 20
    mass: Mapping[str, float] = field(default_factory=lambda: dict(MASS))
    noise: float = 0.05
    seed: int = 0


def made_up_scores(mass: float, place: int, generator: np.random.Generator) -> tuple[float, ...]:
    """Scores of eight frames with this absolute mass on one of them; the others have any sign."""
    others = generator.uniform(0.2, 1.0, UNITS) * generator.choice([-1.0, 1.0], UNITS)
    others[place] = 0.0
    others *= (1 - mass) / np.abs(others).sum()
    others[place] = mass
    return tuple(float(score) for score in 4.0 * others)


def made_up_records(plan: MadeUp = MadeUp()) -> list[FrameAttribution]:
    """Every model on the video, VLM and merged model on two controls and by a second method."""
    generator = np.random.default_rng(plan.seed)
    blocks = [(model, "video", "ig") for model in plan.mass]
    for model in ("vlm", "merged"):
        blocks += [(model, "shuffled", "ig"), (model, "black", "ig"), (model, "video", "shapley")]
    records = []
    for model, condition, method in blocks:
        for video in range(plan.videos):
            for number, skill in enumerate(_skills()):
                item = f"v{video:02d}-{number}"
                place = (3 * video + number) % UNITS
                mean = plan.mass[model] if condition == "video" else 0.125
                mass = float(np.clip(mean + generator.normal(0, plan.noise), 0.01, 0.99))
                right = _is_right(model, video)
                records.append(
                    FrameAttribution(
                        item=item, item_set="validation", skill=skill, category="after",
                        group=f"v{video:02d}", model=model, recipe="vlm", condition=condition,
                        method=method, baseline="mean", target="margin", unit="frame",
                        answer=1, scores=made_up_scores(mass, place, generator),
                        in_evidence=tuple(unit == place for unit in range(UNITS)),
                        log_probs=(-2.0, -0.2) if right else (-0.2, -2.0),
                        value_shown_nats=1.0, value_absent_nats=0.0, steps=32,
                        completeness_error=1e-4, deletion_evidence_nats=mean,
                        deletion_others_nats=0.1, insertion_evidence_nats=mean,
                        insertion_others_nats=0.1,
                    )
                )  # fmt: skip
    return records


def _skills() -> tuple[Skill, Skill]:
    return ("reasoning", "perception")


def _is_right(model: str, video: int) -> bool:
    """Merging turns every fourth video right and breaks one."""
    if video == 1:
        return model != "merged"
    return video % 4 != 0 or model == "merged"


def write_attribution(directory: Path, plan: MadeUp = MadeUp()) -> Path:
    """A finished run's directory."""
    directory.mkdir(parents=True)
    records = made_up_records(plan)
    with JsonlAppender(directory / "attributions.jsonl") as file:
        for record in records:
            file.append(record.to_row())
    frames = tuple(thumbnail(frame) for frame in frames_of_levels(UNITS))
    items = {record.item: record for record in records}
    with JsonlAppender(directory / "attributed_items.jsonl") as file:
        for record in items.values():
            picture = AttributedItem(
                item=record.item, item_set=record.item_set, skill=record.skill,
                category=record.category, group=record.group,
                question="Which comes right after the <b>circle</b>?",
                options=("the square", "the star"), answer=1,
                starts_s=tuple(i / 2 for i in range(UNITS)),
                ends_s=tuple((i + 1) / 2 for i in range(UNITS)),
                units=tuple(range(UNITS)), in_evidence=record.in_evidence, thumbnails=frames,
            )  # fmt: skip
            file.append(picture.to_row())
    write_json(directory / "finished.json", {"attributions": len(records)})
    return directory

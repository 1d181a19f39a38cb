"""Run directories with made-up records, for tests of tables, plots and report.

Nothing here was measured: answers are coin flips whose odds this file sets, so that a test knows
what a table must find.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from merit_interp.recipe import ItemsReference, ModelReference, Recipe, write_recipe
from merit_interp.record_files import JsonlAppender, write_json
from merit_interp.records import ItemScore, Provenance, Skill, Trial

CATEGORIES: dict[Skill, tuple[str, ...]] = {
    "reasoning": ("after", "before", "two_later", "first_of", "colour_after"),
    "perception": ("position", "colour_at", "colour_of", "present"),
}
LEVELS = {
    "vlm": (0.40, 0.92),
    "merged": (0.68, 0.915),
    "uniform_attention_0.5": (0.55, 0.91),
    "uniform_attention_1.0": (0.50, 0.85),
    "uniform_text_0.5": (0.58, 0.90),
    "uniform_text_1.0": (0.62, 0.70),
    "first_k": (0.43, 0.86),
    "last_k": (0.50, 0.90),
    "backbone_transcripts": (0.97, 0.99),
}
"""Chance of a right answer on reasoning and perception, before a video's own difficulty."""


N_LAYERS = 8


@dataclass(frozen=True)
class Plan:
    """How much is made up."""

    item_sets: tuple[str, ...] = ("validation", "longer_clips")
    videos: int = 24
    draws: int = 4
    trials: int = 30
    levels: Mapping[str, tuple[float, float]] = None  # type: ignore[assignment]
    seed: int = 0

    @property
    def models(self) -> dict[str, tuple[float, float]]:
        """Levels of every model, the draws of random layers too."""
        generator = np.random.default_rng(self.seed + 1)
        drawn = {
            f"random_layers_{draw:02d}": (float(generator.uniform(0.38, 0.6)), 0.88)
            for draw in range(self.draws)
        }
        return {**(LEVELS if self.levels is None else self.levels), **drawn}


FULL = Plan(
    ("validation", "other_looks", "longer_clips", "new_form", "composition"),
    videos=60, draws=20, trials=200,
)  # fmt: skip


def made_up_scores(plan: Plan = Plan()) -> list[ItemScore]:
    """Scores of every model on every item set; items of a video are alike."""
    scores: list[ItemScore] = []
    for number, item_set in enumerate(plan.item_sets):
        generator = np.random.default_rng([plan.seed, number])
        easier = generator.normal(0, 0.6, plan.videos) - 0.25 * number
        luck = {
            (video, category): generator.normal()
            for video in range(plan.videos)
            for categories in CATEGORIES.values()
            for category in categories
        }
        for model, levels in plan.models.items():
            for (video, category), own in luck.items():
                skill: Skill = "reasoning" if category in CATEGORIES["reasoning"] else "perception"
                level = levels[skill == "perception"]
                lift = 1.7 * math.log(level / (1 - level)) + easier[video]
                noise = 0.0 if model == "vlm" else generator.normal(0, 0.4)
                scores.append(
                    made_up_score(
                        item_set, model, skill, category, f"v{video:03d}", lift + 1.5 * own + noise
                    )
                )
    return scores


def made_up_score(
    item_set: str, model: str, skill: Skill, category: str, video: str, margin: float
) -> ItemScore:
    """One item of four options whose right one leads by `margin` nats."""
    options = 2 if category in ("first_of", "present") else 4
    answer = sum(map(ord, video + category)) % options
    raw = [margin if i == answer else -0.3 * ((i - answer) % options - 1) for i in range(options)]
    total = math.log(sum(map(math.exp, raw)))
    return ItemScore(
        item=f"{video}-{category}", model=model, recipe="vlm" if model == "vlm" else f"{model:.4}",
        skill=skill, category=category, group=video, answer=answer,
        log_probs=tuple(value - total for value in raw), item_set=item_set,
    )  # fmt: skip


def made_up_recipe(layers: Mapping[int, object] | None = None) -> Recipe:
    """A recipe over made-up models."""
    return Recipe.model_validate(
        {
            "vlm": ModelReference(source="models/vlm", fingerprint="sha256:" + "a1" * 32),
            "backbone": ModelReference(source="models/backbone", fingerprint="sha256:" + "b2" * 32),
            "layers": {2: 0.85, 3: 0.4, 5: 1.0} if layers is None else layers,
            "items": ItemsReference(
                source="items.jsonl", sha256="c3" * 32, split="search"
            ),
            "search": {
                "found": True, "reason": "better than the unmerged VLM beyond its interval: "
                "trial 194 changes reasoning on validation by +1.3 nats (made up)",
                "sampler": "cmaes", "seed": 0, "budget": 200, "penalty": 1.0, "objective": "margin",
            },
        }
    )  # fmt: skip


def made_up_trials(recipe: Recipe, count: int = 30, seed: int = 0) -> list[Trial]:
    """Trials that get better; the last but five has the recipe's hash."""
    generator = np.random.default_rng(seed)
    trials = []
    for number in range(count):
        tr = 0.9 * (1 - math.exp(-2.5 * number / count)) + generator.normal(0, 0.22)
        tp = -0.25 * generator.random() * (1.2 - number / count) + generator.normal(0.02, 0.05)
        chosen = number == max(0, count - 6)
        own = json.loads(recipe.to_json())["layers"]
        tr, tp = (1.35, 0.03) if chosen else (min(tr, 1.2), tp)
        shares = generator.random(N_LAYERS).round(3).tolist()
        # a search tries the uniform merges first
        layers = {str(i): share if number else 1.0 for i, share in enumerate(shares)}
        trial = Trial(
            number=number, recipe=recipe.merge_hash if chosen else f"{number:016x}",
            layers=own if chosen else layers, split="search",
            objective=tr - max(0.0, -tp), delta_tr=tr, delta_tp=tp,
            delta_tr_accuracy=tr / 4, delta_tp_accuracy=tp / 4,
        )  # fmt: skip
        trials.append(trial)
    return trials


def made_up_provenance() -> Provenance:
    """Provenance of a run that never was."""
    return Provenance(
        command=("merit-interp", "search", "--vlm", "models/vlm", "--backbone", "models/backbone",
                 "--items", "items.jsonl", "--out", "runs/made-up", "--seed", "0"),
        versions={"python": "3.11.7", "merit-interp": "0.1.0", "torch": "2.13.0"},
        seed=0, device="cpu", dtype="float32", threads=2,
        fingerprints={"vlm": "sha256:" + "a1" * 32, "backbone": "sha256:" + "b2" * 32,
                      "items": "sha256:" + "c3" * 32},
        settings={"sampler": "cmaes", "budget": 200, "penalty": 1.0, "objective": "margin"},
        started_utc="2026-11-22T06:30:00+00:00", processor="torch",
    )  # fmt: skip


def write_run(
    directory: Path,
    plan: Plan = Plan(),
    *,
    recipe: Recipe | None = None,
    scores: Sequence[ItemScore] | None = None,
    finished: bool = True,
) -> Path:
    """A whole run directory of made-up records."""
    directory.mkdir(parents=True, exist_ok=True)
    recipe = made_up_recipe() if recipe is None else recipe
    write_json(directory / "run.json", made_up_provenance().to_row())
    write_recipe(recipe, directory / "recipe.json")
    trials = made_up_trials(recipe, plan.trials, plan.seed)
    best = sorted(trials, key=lambda trial: -trial.objective)[:4]
    rows = {
        "trials.jsonl": trials,
        "validation.jsonl": [Trial(**{**vars(trial), "split": "validation"}) for trial in best],
        "scores.jsonl": made_up_scores(plan) if scores is None else scores,
    }
    for name, records in rows.items():
        with JsonlAppender(directory / name) as file:
            for record in records:
                file.append(record.to_row())
    if finished:
        write_json(directory / "finished.json", {"ended_utc": "2026-11-22T06:41:00+00:00"})
    return directory

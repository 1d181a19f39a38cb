"""A finished masking sweep on disk whose costs are known, written without any model.

    write_sweep(tmp_path, reasoning=(0, 3, 0, 1), perception=(1, 0, 0, 0), chosen=(1, 3))

Masking a set of layers lowers the right option's log-probability by the sum of its layers' costs
and leaves the others', so that the mean drop of the margin is that sum (and noise, if any).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from merit_interp.masking.layer_sets import plan_sweep
from merit_interp.provenance import provenance
from merit_interp.recipe import ModelReference, Recipe, write_recipe
from merit_interp.record_files import write_json
from merit_interp.records import ItemScore, MaskedScores

N_VIDEOS = 12
ITEMS_PER_VIDEO = 4
"""Of each skill."""


def write_sweep(
    directory: Path,
    *,
    reasoning: Sequence[float],
    perception: Sequence[float],
    chosen: Sequence[int],
    vlm_reasoning: Sequence[float] | None = None,
    vlm_perception: Sequence[float] | None = None,
    coefficients: Sequence[float] | None = None,
    noise: float = 0.0,
    draws: int = 200,
    seed: int = 0,
    mode: str = "zero",
    skills: Sequence[str] = ("reasoning", "perception"),
) -> Path:
    """Write a sweep of VLM and merged model.

    Args:
        directory: Where to.
        reasoning: Cost of each layer to reasoning in the merged model, in nats.
        perception: Cost of each layer to perception there.
        chosen: The recipe's layers.
        vlm_reasoning: Costs in the VLM; as in the merged model where not given.
        vlm_perception: The same for perception.
        coefficients: Of the chosen layers; 1 where not given.
        noise: Standard deviation of what an item and a layer add to the cost.
        draws: Most size-matched sets.
        seed: Of the noise and of the sets.
        mode: The mode that the run says it has.
        skills: Skills that there are items of.
    """
    n_layers = len(reasoning)
    rng = np.random.default_rng(seed)
    plan = plan_sweep(n_layers=n_layers, chosen=chosen, draws=draws, seed=seed)
    shares = coefficients or [1.0] * len(chosen)
    recipe = Recipe(
        vlm=ModelReference(source="vlm", fingerprint="sha256:v"),
        backbone=ModelReference(source="backbone", fingerprint="sha256:b"),
        layers=dict(zip(chosen, shares, strict=True)),
    )
    costs = {
        "vlm": (vlm_reasoning or reasoning, vlm_perception or perception),
        "merged": (reasoning, perception),
    }
    scores: list[ItemScore] = []
    records: list[MaskedScores] = []
    for model, of_skill in costs.items():
        items = [
            ItemScore(
                item=f"{skill} {video} {number}", model=model, recipe="r", skill=skill,  # type: ignore[arg-type]
                category=f"{skill} {number % 2}", group=f"video {video}", answer=number % 3,
                log_probs=tuple(2.0 if option == number % 3 else 0.0 for option in range(3)),
            )
            for skill in skills
            for video in range(N_VIDEOS)
            for number in range(ITEMS_PER_VIDEO)
        ]  # fmt: skip
        scores += items
        tables = dict(zip(("reasoning", "perception"), map(np.array, of_skill), strict=True))
        own = {s.item: tables[s.skill] + noise * rng.normal(size=n_layers) for s in items}
        for entry in plan.sets:
            log_probs = {
                s.item: tuple(
                    value - float(own[s.item][list(entry.layers)].sum()) * (option == s.answer)
                    for option, value in enumerate(s.log_probs)
                )
                for s in items
            }
            records.append(MaskedScores(model, entry.layers, entry.heads, 0, log_probs))
    directory.mkdir(parents=True, exist_ok=True)
    settings = {"masking": {"mode": mode, "tokens": "all", "draws": draws}}
    record = provenance(
        seed=seed, device="cpu", dtype="float32", fingerprints={}, settings=settings
    )
    write_json(directory / "run.json", record.to_row())
    write_json(directory / "sweep.json", plan.to_row())
    write_recipe(recipe, directory / "recipe.json")
    for name, rows in (("masks.jsonl", records), ("scores.jsonl", scores)):
        lines = [json.dumps(row.to_row()) + "\n" for row in rows]
        (directory / name).write_text("".join(lines))
    write_json(directory / "finished.json", {"masks": len(records)})
    return directory

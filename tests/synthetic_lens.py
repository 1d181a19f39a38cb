"""A finished lens run on disk whose readings are known, written without any model.

    write_lens(tmp_path, gain=(0.0, 0.0, 1.0, 1.0))

VLM and merged model of 3 layers with 2 heads each; the recipe merges layer 1. Every item has two
options of one token, so that its margin is what the parts add up to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from merit_interp.lens_records import HeadChange, LensCheck, LensPlan, LensReading
from merit_interp.provenance import provenance
from merit_interp.recipe import ModelReference, Recipe, write_recipe
from merit_interp.record_files import write_json
from merit_interp.records import ItemScore, MaskedScores, Row

N_VIDEOS, N_LAYERS, N_HEADS, CHOSEN = 12, 3, 2, (1,)
BASE = (0.0, 0.2, 0.4, 0.6)
"""Margin of the VLM at each state, in nats, before noise."""
HEAD_PART = 0.4
"""What head 0 of layer 1 says directly in the merged model, in nats; the VLM's says nothing."""
Costs = Mapping[int, tuple[float, float]]


def write_lens(
    directory: Path,
    *,
    gain: Sequence[float] = (0.0, 0.0, 1.0, 1.0),
    moved: float = 0.2,
    costs: Costs = {0: (2.0, 0.0), 1: (0.0, 1.0)},  # noqa: B006
    noise: float = 0.1,
    n_videos: int = N_VIDEOS,
    merges: bool = True,
    direct: str = "",
    seed: int = 0,
) -> Path:
    """Write a run.

    Args:
        directory: Where to.
        gain: Added to the margin of reasoning items at each state by merging, in nats.
        moved: Added to the share of attention on the video in layer 1, head 0, by merging.
        costs: Of masking each head of layer 1 to reasoning and to perception, in both models.
        noise: Standard deviation of what an item adds to each margin and cost.
        n_videos: Videos, with one item of each skill.
        merges: Whether there is a merged model.
        direct: Why there are no direct parts; empty where there are.
        seed: Of the noise.
    """
    rng = np.random.default_rng(seed)
    names = ("vlm", "merged")[: 1 + merges]
    rows: dict[str, list[Row]] = {
        name: [] for name in ("readings", "head_masks", "scores", "checks", "head_changes")
    }
    for model in names:
        masked: dict[tuple[int, ...], dict[str, tuple[float, ...]]] = {}
        for video in range(n_videos):
            for skill in ("reasoning", "perception"):
                added = gain if (model, skill) == ("merged", "reasoning") else (0.0,) * len(gain)
                margins = np.array(BASE) + np.array(added) + noise * rng.normal(size=len(gain))
                item = f"{skill} {video}"
                score = ItemScore(
                    item, model, model, skill, f"{skill} kind", f"video {video}", 0,  # type: ignore[arg-type]
                    log_probs=(float(margins[-1]), 0.0), item_set="validation",
                )  # fmt: skip
                rows["scores"].append(score)
                rows["readings"].append(_reading(score, margins, moved, direct))
                masked.setdefault((), {})[item] = score.log_probs
                for head, cost in costs.items():
                    lost = cost[skill == "perception"] + noise * rng.normal()
                    masked.setdefault((head,), {})[item] = (float(margins[-1] - lost), 0.0)
        for heads, log_probs in masked.items():
            rows["head_masks"].append(MaskedScores(model, heads and CHOSEN, heads, 0, log_probs))
        why = {"direct_difference": None if direct else 1e-6, "no_direct": direct}
        rows["checks"].append(LensCheck(model, "transformer_lens", "", 16, 3e-7, 0.0, **why))  # type: ignore[arg-type]
    if merges:
        rows["head_changes"] = [
            HeadChange(1, head, 0, 2, {"q": 1.0}, {"q": 0.5, "all": 0.1 * (1 + head)})
            for head in range(N_HEADS)
        ]
    _write(directory, rows, names)
    return directory


def _reading(score: ItemScore, margins: np.ndarray, moved: float, direct: str) -> LensReading:
    merged = score.model == "merged"
    shares = np.zeros((N_LAYERS, N_HEADS, 5))
    shares[..., 0], shares[..., 2] = 0.4, 0.6
    if merged:
        shares[1, 0, 0] += moved
        shares[1, 0, 2] -= moved
    heads = np.zeros((N_LAYERS, N_HEADS))
    heads[1, 0] = HEAD_PART * merged
    parts = {
        "against": 1,
        "direct_margin": float(margins[-1]),
        "direct_embedding": 0.0,
        "direct_heads": heads.tolist(),
        "direct_biases": [0.0] * N_LAYERS,
        "direct_mlps": [0.0, 0.0, float(margins[-1] - heads.sum())],
    }
    return LensReading(
        item=score.item,
        model=score.model,
        layer_log_probs=[[float(margin), 0.0] for margin in margins],
        n_tokens=[9, 0, 6, 0, 0],
        attention_from_answer=shares.tolist(),
        attention_from_question=shares.tolist(),
        output_change=[[0.3, 0.7]] if merged else [],
        **({} if direct else parts),  # type: ignore[arg-type]
    )


def _write(directory: Path, rows: Mapping[str, Sequence[Row]], names: Sequence[str]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    record = provenance(seed=0, device="cpu", dtype="float32", fingerprints={}, settings={})
    write_json(directory / "run.json", record.to_row())
    left_out = {} if "merged" in names else {"merged": "the recipe merges nothing"}
    plan = LensPlan(N_LAYERS, N_HEADS, CHOSEN, tuple(names), left_out)
    write_json(directory / "lens.json", plan.to_row())
    recipe = Recipe(
        vlm=ModelReference(source="vlm", fingerprint="sha256:v"),
        backbone=ModelReference(source="backbone", fingerprint="sha256:b"),
        layers=dict.fromkeys(CHOSEN, 1.0) if "merged" in names else {},
    )
    write_recipe(recipe, directory / "recipe.json")
    for name, records in rows.items():
        lines = [json.dumps(row.to_row()) + "\n" for row in records]
        (directory / f"{name}.jsonl").write_text("".join(lines))
    write_json(directory / "finished.json", {"readings": len(rows["readings"])})

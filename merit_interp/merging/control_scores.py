"""VLM and merged model on video controls, each block kept as soon as it is whole.

    score_controls(controls, prepared, merge, recipe, sizes, run / CONTROL_SCORES)

A block is all items of one set, under one control, scored by one model; a run that was cut goes on
after its last whole block. One control's items are in memory at a time. This file must not know
what a control shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from merit_interp.benchmarks.video_controls import CONTROLS, NEED_EVIDENCE, VideoControl
from merit_interp.errors import SettingError
from merit_interp.merging.in_memory import InMemoryMerge
from merit_interp.merging.recipe_scores import MERGED, VLM, keep_whole_blocks
from merit_interp.models.loading import LoadedModel
from merit_interp.models.processors import Clip, video_processor_for
from merit_interp.recipe import Recipe
from merit_interp.record_files import JsonlAppender
from merit_interp.records import ControlScore
from merit_interp.scoring.encoding import EncodedItem
from merit_interp.scoring.evaluation import Evaluation

CONTROL_SCORES = "control_scores.jsonl"
BLOCK = ("item_set", "video_control", "model")
"""Fields that the scores of one block have in common."""

_PROBE_FRAMES, _PROBE_SIDE = 2, 64


def score_controls(
    controls: Sequence[VideoControl],
    prepared: Callable[[str, VideoControl], Evaluation],
    merge: InMemoryMerge,
    recipe: Recipe,
    sizes: Mapping[str, int],
    path: Path,
    *,
    progress: Callable[[str, str], None] | None = None,
) -> None:
    """Score the unmerged VLM and the recipe on every item set under every control.

    Args:
        controls: What is shown.
        prepared: Makes an item set's evaluation under a control.
        merge: In-memory merge of the VLM.
        recipe: The recipe of the merged model.
        sizes: Number of items of each item set.
        path: `control_scores.jsonl`, appended to.
        progress: Called with item set and model after each block.
    """
    done = keep_whole_blocks(path, sizes, BLOCK)
    with JsonlAppender(path) as file:
        for item_set in sizes:
            for control in controls:
                models = [m for m in (VLM, MERGED) if (item_set, control.name, m) not in done]
                evaluation = prepared(item_set, control) if models else None
                for model in models:
                    assert evaluation is not None  # there are models
                    if model == VLM:
                        scores = evaluation.scores(VLM, VLM, item_set)
                    else:
                        with merge.applied(recipe):
                            scores = evaluation.scores(MERGED, recipe.merge_hash, item_set)
                    for score in scores:
                        file.append(ControlScore.of(score, control.name).to_row())
                    if progress is not None:
                        progress(item_set, f"{model}, {control.name}")


def check_black_frames(controls: Iterable[VideoControl], vlm: LoadedModel) -> None:
    """Refuse controls whose black frames the model would never see, before anything is scored.

    Raises:
        SettingError: A control shows black frames, which the family takes for padding.
    """
    names = [control.name for control in controls]
    blackening = [name for name in names if name == "black" or name in NEED_EVIDENCE]
    if blackening and drops_black_frames(vlm):
        others = [name for name in CONTROLS if name not in (*NEED_EVIDENCE, "black")]
        raise SettingError(
            f"{vlm.source}: a black frame has pixels of zero after normalisation, which this "
            f"family drops as padding, so {' and '.join(blackening)} would show fewer frames",
            valid=", ".join(others),
        )


def drops_black_frames(vlm: LoadedModel) -> bool:
    """Whether the family takes a black frame for padding, seen by showing it one."""
    if not vlm.family.drops_zero_frames:
        return False
    processor = video_processor_for(vlm.directory, vlm.family)
    black = np.zeros((_PROBE_FRAMES, _PROBE_SIDE, _PROBE_SIDE, 3), dtype=np.uint8)
    clip = Clip(tuple(range(_PROBE_FRAMES)), 1.0, _PROBE_FRAMES, float(_PROBE_FRAMES))
    return not bool(processor.see(black, clip).inputs[vlm.family.video_inputs[0]].any())


def shorter_prompts(
    control: str, shown: Mapping[int, EncodedItem], real: Mapping[int, EncodedItem]
) -> str | None:
    """A line on prompts that a control makes shorter or longer; None where all keep their length.

    Families that drop tokens which repeat the frame before (VideoLLaMA3) do so of what they are
    shown: a black video is then one frame's tokens and a few more.
    """
    both = [
        (len(shown[index].input_ids), len(real[index].input_ids))
        for index in shown
        if index in real
    ]
    if all(one == other for one, other in both):
        return None
    means = [sum(lengths) / len(both) for lengths in zip(*both, strict=True)]
    return (
        f"under {control} prompts have {means[0]:.0f} tokens in the mean, on the video "
        f"{means[1]:.0f}: the family drops visual tokens that repeat the frame before"
    )

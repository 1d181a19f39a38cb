"""From Vinoground's published files to its three scores, as the official script counts them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from merit_interp.records import ItemScore
from merit_interp.tables.pair_consistency import pair_table
from tests.benchmarks.importers.test_vinoground import imported, whole


@pytest.mark.parametrize("seed", range(4))
def test_text_video_and_group_scores_are_the_official_ones(tmp_path: Path, seed: int) -> None:
    items = imported(whole(tmp_path, "text", "video")).items
    generator = np.random.default_rng(seed)
    said = {name: int(generator.random() < 0.75) for name in items}  # 1 where right
    scores = [
        ItemScore(
            item=name, model="vlm", recipe="vlm", skill=item.skill, category=item.category,
            group=item.group, answer=item.answer, item_set="vinoground", pair=item.pair,
            pair_part=item.pair_part,
            log_probs=tuple(-float((i == item.answer) != bool(said[name])) for i in (0, 1)),
        )
        for name, item in items.items()
    ]  # fmt: skip
    # get_score_all.py: pos and neg of a pair, for text, for video, and for both
    official = {"text": 0, "video": 0, "group": 0}
    for pair in (0, 1):
        right = {
            part: all(said[f"vinoground/{pair}_{end}_{part}"] for end in ("pos", "neg"))
            for part in ("text", "video")
        }
        official["text"] += right["text"]
        official["video"] += right["video"]
        official["group"] += all(right.values())
    table = pair_table(scores).set_index("score")
    assert {name: round(2 * share) for name, share in table["consistency"].items()} == official
    assert table["chance"].to_dict() == {"text": 0.25, "video": 0.25, "group": 0.0625}
    assert table["n_pairs"].tolist() == [2, 2, 2]

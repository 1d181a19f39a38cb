"""Pair metrics held against counts by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from merit_interp.records import ItemScore
from merit_interp.tables.pair_consistency import PAIR_COLUMNS, pair_table


def score(
    item: str, right: bool, *, pair: str = "", part: str = "", model: str = "vlm", n: int = 2,
    group: str = "", skill: str = "reasoning", failed: bool = False, size: int | None = None,
) -> ItemScore:  # fmt: skip
    """One answer among n options, right or wrong."""
    values = [0.0] + [-1.0] * (n - 1) if right else [-1.0, 0.0] + [-1.0] * (n - 2)
    return ItemScore(
        item=item, model=model, recipe=model, skill=skill,  # type: ignore[arg-type]
        category="", group=group or pair, answer=0,
        log_probs=() if failed else tuple(values), status="failed" if failed else "ok",
        item_set="validation", pair=pair, pair_part=part, pair_size=size,
    )  # fmt: skip


def vinoground(name: str, rights: Sequence[bool], model: str = "vlm") -> list[ItemScore]:
    """Two text questions and two video questions of one pair."""
    parts = ("text", "text", "video", "video")
    return [
        score(f"{name}-{place}", right, pair=name, part=part, model=model)
        for place, (right, part) in enumerate(zip(rights, parts, strict=True))
    ]


T, F = True, False


def test_vinogrounds_text_video_and_group_scores() -> None:
    scores = [
        *vinoground("a", (T, T, T, T)),
        *vinoground("b", (T, T, T, F)),
        *vinoground("c", (T, F, T, T)),
        *vinoground("d", (T, T, F, F)),
    ]
    table = pair_table(scores).set_index("score")
    assert list(table.index) == ["text", "video", "group"]
    assert table["consistency"].tolist() == [0.75, 0.5, 0.25]
    assert table["accuracy"].tolist() == [7 / 8, 5 / 8, 12 / 16]
    # guessing two questions of two options each, and four of them
    assert table["chance"].tolist() == [0.25, 0.25, 0.0625]
    assert table["n_pairs"].tolist() == [4, 4, 4]
    assert table["n_clusters"].tolist() == [4, 4, 4]
    assert (table["consistency_low"] <= table["consistency"]).all()
    assert (table["consistency"] <= table["consistency_high"]).all()


def test_pairs_without_parts_have_one_score_and_chance_by_their_options() -> None:
    """TempCompass: the same question on a video and on its reverse."""
    scores = [
        score("a", T, pair="1", n=3, group="1"), score("a_reverse", T, pair="1", n=4, group="1"),
        score("b", T, pair="2", n=3, group="2"), score("b_reverse", F, pair="2", n=3, group="2"),
    ]  # fmt: skip
    (row,) = pair_table(scores).to_dict("records")
    assert row["score"] == "pair"
    assert row["consistency"] == 0.5
    assert row["accuracy"] == 0.75
    assert row["chance"] == pytest.approx((1 / 12 + 1 / 9) / 2)


def test_incomplete_and_failed_pairs_are_left_out_and_counted() -> None:
    scores = [
        *vinoground("a", (T, T, T, T)),
        *vinoground("b", (T, T, T, T))[:3],  # a video question is missing
        *vinoground("c", (T, T, T, T)),
    ]
    broken = score("c-0", T, pair="c", part="text", failed=True)
    scores = [broken if one.item == "c-0" else one for one in scores]
    table = pair_table(scores).set_index("score")
    assert table["n_pairs"].to_dict() == {"text": 2, "video": 2, "group": 1}
    assert table["n_incomplete"].to_dict() == {"text": 0, "video": 1, "group": 1}
    assert table["n_failed"].to_dict() == {"text": 1, "video": 0, "group": 1}


def test_a_single_question_is_no_pair() -> None:
    (row,) = pair_table([score("a", T, pair="1"), score("b", T)]).to_dict("records")
    assert (row["n_pairs"], row["n_incomplete"]) == (0, 1)
    assert math.isnan(row["consistency"])


def test_two_questions_of_a_pair_of_four_are_not_the_pair() -> None:
    """TempCompass asks twice about a video and twice about its reverse, which was missing."""
    whole = [score(f"a{i}", T, pair="1", size=4) for i in range(4)]
    half = [score(f"b{i}", F, pair="2", size=4) for i in range(2)]
    (row,) = pair_table([*whole, *half]).to_dict("records")
    assert (row["n_pairs"], row["n_incomplete"], row["consistency"]) == (1, 1, 1.0)


def test_a_group_of_known_size_lacks_a_part_that_no_pair_has() -> None:
    scores = [
        score("a", T, pair="1", part="text", size=4),
        score("b", T, pair="1", part="text", size=4),
        score("c", T, pair="1", part="video", size=4),
    ]
    table = pair_table(scores).set_index("score")
    assert table["n_pairs"].to_dict() == {"text": 1, "group": 0}
    assert table["n_incomplete"].to_dict() == {"text": 0, "group": 1}


def test_the_change_by_merging_is_paired_by_pair() -> None:
    generator = np.random.default_rng(0)
    scores = []
    for number in range(60):
        easy = bool(generator.random() < 0.5)
        scores += vinoground(f"p{number}", (T, easy, T, easy))
        scores += vinoground(f"p{number}", (T, T, T, easy), model="merged")
    table = pair_table(scores).set_index(["score", "model"])
    text, video = table.loc[("text", "merged")], table.loc[("video", "merged")]
    assert text["delta_consistency"] == pytest.approx(1 - table.loc[("text", "vlm"), "consistency"])
    assert text["delta_consistency_low"] > 0
    assert text["delta_consistency_p"] < 0.001
    assert video["delta_consistency"] == 0
    assert text["n_compared"] == 60
    assert table.loc[("text", "vlm"), "n_compared"] == 0


def test_pairs_that_share_a_video_are_one_cluster() -> None:
    scores = [
        score("a1", T, pair="1", group="x"), score("a2", T, pair="1", group="y"),
        score("b1", F, pair="2", group="y"), score("b2", T, pair="2", group="z"),
        score("c1", F, pair="3", group="w"), score("c2", T, pair="3", group="w"),
    ]  # fmt: skip
    (row,) = pair_table(scores).to_dict("records")
    assert (row["n_pairs"], row["n_clusters"]) == (3, 2)


def test_skills_have_rows_of_their_own() -> None:
    scores = [
        *(score(f"a{i}", T, pair="1") for i in range(2)),
        *(score(f"b{i}", F, pair="2", skill="perception") for i in range(2)),
        score("c1", T, pair="3"), score("c2", T, pair="3", skill="perception"),
    ]  # fmt: skip
    table = pair_table(scores)
    assert table["skill"].tolist() == ["reasoning", "perception", "mixed"]
    assert table["consistency"].tolist() == [1, 0, 1]


def test_items_without_pairs_make_no_rows() -> None:
    table = pair_table([score("a", T), score("b", F)])
    assert table.empty
    assert list(table.columns) == list(PAIR_COLUMNS)
    assert pair_table([]).empty

from __future__ import annotations

import json
from pathlib import Path

import pytest

from merit_interp.benchmarks.items import Item, write_items
from merit_interp.benchmarks.splits import SplitSettings
from merit_interp.cli.main import main
from merit_interp.errors import RunError, SettingError
from merit_interp.record_files import JsonlAppender
from merit_interp.records import ItemScore
from merit_interp.tables.item_frames import item_scores
from merit_interp.tables.item_power import Assumed, assumed_from, power_rows


def items(n_reasoning: int, n_perception: int, each: int = 1) -> list[Item]:
    skills = ["reasoning"] * n_reasoning + ["perception"] * n_perception
    return [
        Item(f"i{n}", f"{n // each}.mp4", "?", ("a", "b"), 0, skill)  # type: ignore[arg-type]
        for n, skill in enumerate(skills)
    ]


def scores(n: int, changed: int) -> list[ItemScore]:
    """VLM and merged model on n reasoning items, three a video; the first ones change."""
    found = []
    for model in ("vlm", "merged"):
        for number in range(n):
            right = model == "merged" or number >= changed
            found.append(
                ItemScore(
                    item=f"i{number}",
                    model=model,
                    recipe="r",
                    item_set="validation",
                    skill="reasoning",
                    category="",
                    group=f"v{number // 3}",
                    answer=0,
                    log_probs=(-0.1, -3.0) if right else (-3.0, -0.1),
                )
            )
    return found


def test_each_skill_of_the_whole_set_and_of_each_part() -> None:
    rows = power_rows(items(200, 100), SplitSettings(0.3, 0.2), {})
    assert [(row.part, row.skill, row.n_items) for row in rows] == [
        ("all", "reasoning", 200),
        ("all", "perception", 100),
        ("search", "reasoning", 100),
        ("search", "perception", 50),
        ("validation", "reasoning", 60),
        ("validation", "perception", 30),
        ("held_out", "reasoning", 40),
        ("held_out", "perception", 20),
    ]
    whole, part = rows[0].detectable, rows[2].detectable
    assert whole is not None
    assert part is not None
    # half of the items show what is larger by about the root of two
    assert part == pytest.approx(whole * 2**0.5, rel=0.06)


def test_more_items_on_the_same_videos_show_less_than_on_others() -> None:
    alone = power_rows(items(200, 0), SplitSettings(), {})[0]
    clustered = power_rows(items(200, 0, each=10), SplitSettings(), {})[0]
    assert (alone.design_effect, clustered.design_effect) == (1.0, pytest.approx(1.9))
    assert clustered.n_videos == 20
    assert alone.detectable is not None
    assert clustered.detectable is not None
    assert clustered.detectable > 1.3 * alone.detectable


def test_sets_that_are_too_small_are_called_so() -> None:
    # Video-MME: 177 temporal reasoning and 55 temporal perception items
    reasoning, perception = power_rows(items(177, 55), SplitSettings(), {})[:2]
    assert reasoning.warning is None
    assert perception.warning == "too small: a change below 17 points is noise here"
    few = power_rows(items(4, 20), SplitSettings(), {})
    assert few[0].warning == "too small: not even a change on every item would be seen"
    assert "a change below 3" in str(few[1].warning)
    assert power_rows(items(9, 0), SplitSettings(), {})[1].warning == "no items"
    one_video = power_rows(items(9, 0, each=9), SplitSettings(), {})
    assert [row.part for row in one_video] == ["all", "all"]
    assert one_video[0].warning == "too small: one video has no interval"


def test_a_finished_run_says_how_often_models_differ() -> None:
    found = assumed_from(item_scores(scores(120, 30)), "runs/demo")
    assert found["reasoning"].discordance == 0.25
    # the first ten videos change whole, the others not at all
    assert found["reasoning"].correlation == 1.0
    assert found["reasoning"].source == "120 items of runs/demo"
    assert found["perception"] == Assumed(source="assumed: only 0 items differ in runs/demo")
    with pytest.raises(RunError, match="no item that VLM and merged model both scored"):
        assumed_from(item_scores(scores(9, 3)[:9]), "runs/demo")


@pytest.mark.parametrize("field", ["discordance", "correlation"])
def test_what_is_assumed_has_to_be_a_share(field: str) -> None:
    with pytest.raises(SettingError, match=field):
        Assumed(**{field: 1.5})


def checked(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    with pytest.raises(SystemExit) as end:
        main(["items", "check", *map(str, words)])
    # the videos are not there, which `check` says besides
    assert end.value.code == 2
    return capsys.readouterr().out


def test_the_command_says_what_it_assumes_and_what_is_too_small(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "items.jsonl"
    write_items(path, items(177, 55))
    out = checked(capsys, path, "--power")
    assert "TR: VLM and merged model differ on 20% of the items" in out
    assert "correlated by 0.1 (assumed)" in out
    assert "TP in all: too small: a change below 17 points is noise here" in out
    assert "least change at 80% power" in out
    assert "least change" not in checked(capsys, path)
    # an assumption asks the question
    assert "differ on 30% of the items" in checked(capsys, path, "--discordance", 0.3)


def test_the_command_takes_a_run_and_numbers_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "items.jsonl"
    write_items(path, items(60, 60))
    (tmp_path / "run").mkdir()
    with JsonlAppender(tmp_path / "run" / "scores.jsonl") as file:
        for score in scores(120, 30):
            file.append(score.to_row())
    out = checked(
        capsys, path, "--power-from", tmp_path / "run", "--correlation", 0.2,
        "--held-out-share", 0.25, "--json",
    )  # fmt: skip
    rows = json.loads(out)["power"]
    assert [row["part"] for row in rows[::2]] == ["all", "search", "validation", "held_out"]
    assert (rows[0]["discordance"], rows[0]["correlation"]) == (0.25, 0.2)
    assert rows[0]["source"].endswith("; correlation as given")

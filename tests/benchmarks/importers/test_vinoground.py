from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from merit_interp.errors import ItemError
from tests.benchmarks.importers.an_import import AnImport, run_import, write_annotations

CAPTIONS = ("the tide comes in before the crab digs", "the crab digs before the tide comes in")
PAIRS = (
    "index,major,minor,pos_vid,pos_start,pos_end,pos_cap,neg_vid,neg_start,neg_end,neg_cap\n"
    f"0,action,,aa,1,5,{CAPTIONS[0]},aa,4,9,{CAPTIONS[1]}\n"
    f"1,viewpoint,spatial;cyclical,bb,1,5,{CAPTIONS[0]},cc,4,9,{CAPTIONS[1]}\n"
)
FOLDERS = ("vinoground_videos", "vinoground_videos_concated")
ENDS = ("pos", "neg")
CLIPS = [f"vinoground_videos/{i}_{clip}.mp4" for i in (0, 1) for clip in ("pos", "neg")]
JOINED = [clip.replace("videos/", "videos_concated/") for clip in CLIPS]


def score(part: str, pairs: int = 2) -> list[dict[str, Any]]:
    """The file of questions of a part: the right letters swap within a pair."""
    rows = []
    for pair in range(pairs):
        for clip, letter in (("pos", "B"), ("neg", "A")):
            folder = "vinoground_videos" if part == "text" else "vinoground_videos_concated"
            asked = (
                f"Which caption fits?\nA. {CAPTIONS[1]}\nB. {CAPTIONS[0]}"
                if part == "text"
                else f"Which half shows: {CAPTIONS[0]}?\nA. The first.\nB. The second."
            )
            rows.append(
                {
                    "idx": f"{pair}_{clip}",
                    "video_name": f"{folder}/{pair}_{clip}.mp4",
                    "question": f"{asked}\nAnswer with the option's letter directly.",
                    "GT": letter,
                }
            )
    return rows


def whole(tmp_path: Path, *parts: str, csv: bool = True) -> Path:
    directory = tmp_path / "Vinoground"
    directory.mkdir()
    for part in parts:
        write_annotations(directory / f"vinoground_{part}score.json", score(part))
    if csv:
        (directory / "vinoground.csv").write_text(PAIRS)
    return directory


def imported(path: Path, **options: Any) -> AnImport:
    return run_import("vinoground", path, CLIPS + JOINED, **options)


def test_a_pair_gives_two_items_for_each_score(tmp_path: Path) -> None:
    done = imported(whole(tmp_path, "text", "video"))
    assert len(done.items) == 8
    parts = Counter((item.pair, item.pair_part) for item in done.items.values())
    assert parts == {(f"vinoground/{i}", part): 2 for i in (0, 1) for part in ("text", "video")}
    item = done.items["vinoground/0_pos_text"]
    assert item.question == "Which caption fits?"
    assert item.options == CAPTIONS[::-1]
    assert (item.answer, item.category, item.skill) == (1, "action", "perception")
    assert done.items["vinoground/0_pos_video"].options == ("The first.", "The second.")
    assert done.summary.chance == 0.5


def test_clips_and_joined_clips_of_one_name_are_told_apart(tmp_path: Path) -> None:
    done = imported(whole(tmp_path, "text", "video"))
    assert done.items["vinoground/0_pos_text"].video.endswith("vinoground_videos/0_pos.mp4")
    assert done.items["vinoground/0_pos_video"].video.endswith(
        "vinoground_videos_concated/0_pos.mp4"
    )
    assert done.summary.videos == 8


def test_a_joined_clip_is_never_taken_for_a_clip(tmp_path: Path) -> None:
    path = whole(tmp_path, "text", "video")
    # only clips, and without their folder: a name alone does not say which kind it is
    done = run_import("vinoground", path, [*CLIPS, "0_pos.mp4", "1_neg.mp4"])
    assert {item.pair_part for item in done.items.values()} == {"text"}
    assert len(done.left_out) == 4
    assert all(reason.startswith("no video") for reason in done.left_out.values())


def test_a_pair_stays_in_one_group(tmp_path: Path) -> None:
    done = imported(whole(tmp_path, "text", "video"))
    groups = defaultdict(set)
    for item in done.items.values():
        groups[item.pair].add(item.group)
    assert all(len(names) == 1 for names in groups.values())


def test_minor_kinds_have_roles_of_their_own(tmp_path: Path) -> None:
    roles = write_annotations(
        tmp_path / "r.json", {"vinoground": {"viewpoint": "other", "cyclical": "reasoning"}}
    )
    done = imported(whole(tmp_path, "text"), subset="text", roles=roles)
    assert done.items["vinoground/0_pos_text"].skill == "perception"
    assert done.items["vinoground/1_pos_text"].skill == "reasoning"
    assert done.items["vinoground/1_pos_text"].category == "viewpoint"


@pytest.mark.parametrize(("part", "missing"), [("text", "video"), ("video", "text")])
def test_one_file_of_questions_is_one_score(tmp_path: Path, part: str, missing: str) -> None:
    path = whole(tmp_path, part, csv=False) / f"vinoground_{part}score.json"
    done = imported(path)
    assert {item.pair_part for item in done.items.values()} == {part}
    assert {item.category for item in done.items.values()} == {f"{part} score"}
    assert {item.skill for item in done.items.values()} == {"perception"}
    assert done.left_out == {
        f"vinoground_{missing}score.json": f"no {missing} score without its file"
    }


def test_the_csv_alone_gives_text_items_and_says_whose_question_it_is(tmp_path: Path) -> None:
    done = imported(whole(tmp_path))
    assert [item.answer for item in done.items.values()] == [0, 1, 0, 1]
    assert done.items["vinoground/0_neg_text"].options == CAPTIONS
    assert done.items["vinoground/0_neg_text"].video.endswith("vinoground_videos/0_neg.mp4")
    assert done.summary.flags == {"question and order of options are ours": 4}
    assert list(done.left_out) == ["vinoground_videoscore.json"]


def test_the_csv_alone_has_no_video_score(tmp_path: Path) -> None:
    with pytest.raises(ItemError, match=r"holds no vinoground_videoscore\.json"):
        imported(whole(tmp_path), subset="video")


def test_the_folders_of_lmms_eval(tmp_path: Path) -> None:
    directory = tmp_path / "Vinoground"
    folders = {"text": "vinoground_videos", "video": "vinoground_videos_concated"}
    for part, folder in folders.items():
        write_annotations(directory / folder / f"vinoground_{part}score.json", score(part))
    # its port of the csv has one row an item
    (directory / "vinoground.csv").write_text("index,major,minor\n0_pos_text,object,\n")
    done = imported(directory)
    assert len(done.items) == 8
    assert done.items["vinoground/0_neg_video"].category == "object"
    assert done.items["vinoground/1_neg_video"].category == "video score"


def test_faulty_rows_are_left_out(tmp_path: Path) -> None:
    path = whole(tmp_path, "video")
    rows = score("text")
    rows[0]["question"] = "Which caption fits?"
    rows[1]["GT"] = "C"
    write_annotations(path / "vinoground_textscore.json", rows)
    done = imported(path, subset="text")
    assert list(done.left_out.values()) == [
        "question names no options A and B",
        "answer is no letter of an option: 'C'",
    ]


def test_pairs_of_one_video_are_one_group(tmp_path: Path) -> None:
    directory = whole(tmp_path, "text", "video")
    header = PAIRS.splitlines()[0]
    shown = [("aa", "bb"), ("cc", "dd"), ("ee", "ee"), ("dd", "bb")]
    lines = [f"{i},action,,{pos},1,5,x y,{neg},4,9,y x" for i, (pos, neg) in enumerate(shown)]
    (directory / "vinoground.csv").write_text("\n".join([header, *lines, ""]))
    for part in ("text", "video"):
        write_annotations(directory / f"vinoground_{part}score.json", score(part, pairs=4))
    videos = [f"{folder}/{i}_{clip}.mp4" for folder in FOLDERS for i in range(4) for clip in ENDS]
    done = run_import("vinoground", directory, videos)
    groups = {item.pair: item.group for item in done.items.values()}
    # the last pair joins the first two
    assert groups == {
        "vinoground/0": "vinoground/0",
        "vinoground/1": "vinoground/0",
        "vinoground/2": "vinoground/2",
        "vinoground/3": "vinoground/0",
    }

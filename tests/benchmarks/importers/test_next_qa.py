from __future__ import annotations

from pathlib import Path

import pytest

from merit_interp.errors import ItemError, SettingError
from tests.benchmarks.importers.an_import import run_import, write_annotations

HEADER = "video,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4\n"
BEFORE = (
    '701,300,320,240,"what did the boy do, before he sat",3,4,TP,ran,fell,sang,"hop, twice",ate\n'
)
WHILE = "701,300,320,240,what is the dog doing while he sits,0,5,TC,barks,eats,digs,naps,swims\n"
COUNT = "702,300,320,240,how many cats,1,0,DC,one,two,three,four,five\n"


def write_csv(path: Path, *rows: str) -> Path:
    path.write_text(HEADER + "".join(rows))
    return path


def test_type_tp_is_temporal_previous_and_no_perception(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "val.csv", BEFORE, WHILE, COUNT)
    done = run_import("next_qa", path, ["701.mp4", "702.mp4"])
    previous = done.items["next_qa/701/4"]
    assert (previous.category, previous.skill) == ("TP", "reasoning")
    assert done.items["next_qa/701/5"].skill == "perception"
    assert done.items["next_qa/702/0"].skill == "perception"


def test_the_answer_is_a_number_and_quoted_commas_are_text(tmp_path: Path) -> None:
    item = run_import("next_qa", write_csv(tmp_path / "val.csv", BEFORE), ["701.mp4"]).item
    assert item.question == "what did the boy do, before he sat"
    assert item.options == ("ran", "fell", "sang", "hop, twice", "ate")
    assert (item.answer, item.group) == (3, "701")


def test_the_map_says_where_a_video_lies_and_none_is_needed(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "val.csv", BEFORE, COUNT)
    write_annotations(tmp_path / "map_vid_vidorID.json", {"701": "0101/701", "9": "0101/9"})
    done = run_import("next_qa", path, ["0101/701.mp4", "702.mp4"])
    assert done.items["next_qa/701/4"].video == "videos/0101/701.mp4"
    assert done.items["next_qa/702/0"].video == "videos/702.mp4"
    assert len(done.summary.source.annotations) == 2


def test_of_several_splits_one_is_chosen(tmp_path: Path) -> None:
    folder = tmp_path / "nextqa"
    folder.mkdir()
    write_csv(folder / "val.csv", BEFORE)
    assert len(run_import("next_qa", folder, ["701.mp4"]).items) == 1
    write_csv(folder / "test.csv", COUNT)
    with pytest.raises(SettingError, match="2 splits; valid: --subset val, test"):
        run_import("next_qa", folder, [])
    assert list(run_import("next_qa", folder, ["702.mp4"], subset="test").items) == [
        "next_qa/702/0"
    ]
    with pytest.raises(ItemError, match=r"holds no train.csv"):
        run_import("next_qa", folder, [], subset="train")


def test_torn_rows_and_files_are_said(tmp_path: Path) -> None:
    short = "703,300,320,240,why,2,1,CW,a,b\n"
    long = "704,300,320,240,why,2,1,CW,a,b,c,d,e,f\n"
    done = run_import("next_qa", write_csv(tmp_path / "val.csv", COUNT, short, long), ["702.mp4"])
    assert done.left_out == {
        "val.csv, row 2": "field 'a2' is missing",
        "val.csv, row 3": "row has more cells than the header",
    }
    path = tmp_path / "test.csv"
    path.write_text(HEADER + COUNT + BEFORE[:40])
    with pytest.raises(ItemError, match=r"test.csv is not csv in row 2: unexpected end of data"):
        run_import("next_qa", path, [])


def test_the_grounded_csv_is_another_file(tmp_path: Path) -> None:
    path = tmp_path / "val.csv"
    path.write_text("video_id,question,answer,qid,type,a0,a1,a2,a3,a4\n1,q,a,0,CW,a,b,c,d,e\n")
    with pytest.raises(ItemError, match="has no field 'video' in its first row; valid: the fields"):
        run_import("next_qa", path, [])

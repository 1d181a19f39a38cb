"""Importing 10,000 rows: under 10 s, and no more memory on 10,000 videos than on 1,000.

A process of its own a measurement, through the command line, as a user runs it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROWS = 10_000
MEASURED = Path(__file__).with_name("measured.py")
OPTIONS = [f"option {letter} of some length, as people write them" for letter in "abcd"]
WORDS = "what did the person in the red coat do before the second door was opened again"


def write_mvbench(folder: Path, n_videos: int) -> Path:
    """Json, streamed: the rows' videos are the only thing that differs in number."""
    rows = [
        {
            "video": f"v{i % n_videos:06d}.mp4",
            "question": f"{WORDS} ({i})?",
            "candidates": OPTIONS,
            "answer": OPTIONS[i % 4],
            "start": 1.5,
            "end": 9.5,
        }
        for i in range(ROWS)
    ]
    path = folder / "json" / "action_sequence.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(rows))
    return path


def write_next_gqa(folder: Path, n_videos: int) -> Path:
    """Csv, and an object of spans with an entry a video, which is held."""
    columns = "video_id,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4"
    lines = [columns]
    located: dict[str, dict[str, object]] = {}
    for i in range(ROWS):
        video = f"v{i % n_videos:06d}"
        answers = ",".join([*OPTIONS, "no"]).replace(", as", " as").split(",")
        lines.append(f"{video},900,320,240,{WORDS},{answers[i % 4]},{i},CW,{','.join(answers)}")
        entry = located.setdefault(video, {"duration": 30, "location": {}, "fps": 29.97})
        spans = entry["location"]
        assert isinstance(spans, dict)
        spans[str(i)] = [[1.2, 5.8], [12.1, 17.1]]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "val.csv").write_text("\n".join(lines) + "\n")
    (folder / "gsub_val.json").write_text(json.dumps(located))
    return folder / "val.csv"


@pytest.mark.benchmark
@pytest.mark.parametrize("write", [write_mvbench, write_next_gqa], ids=["mvbench", "next_gqa"])
def test_ten_thousand_rows(tmp_path: Path, request: pytest.FixtureRequest, write: object) -> None:
    name = request.node.callspec.id
    print()
    for n_videos in (1_000, 10_000):
        folder = tmp_path / str(n_videos)
        videos = folder / "videos"
        below = videos / "star/Charades_v1_480" if name == "mvbench" else videos
        below.mkdir(parents=True)
        for i in range(n_videos):
            (below / f"v{i:06d}.mp4").touch()
        assert callable(write)
        annotations = write(folder, n_videos)
        out = folder / "items.jsonl"
        command = [sys.executable, str(MEASURED), sys.executable, "-m", "merit_interp.cli.main"]
        command += ["items", "import", name, "--annotations", str(annotations)]
        command += ["--videos", str(videos), "--out", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        measured = json.loads(done.stdout)
        assert measured["code"] == 0, done.stderr
        assert out.read_text().count("\n") == ROWS
        print(
            f"{name}: {ROWS} rows on {n_videos} videos in {measured['seconds']:.2f} s "
            f"(aim: under 10 s; {measured['cpu']:.2f} s of a CPU), "
            f"peak memory {measured['peak'] / 2**20:.1f} MiB"
        )

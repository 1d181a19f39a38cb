"""A grounded benchmark as it is published, real clips, a Qwen2.5-VL: from files to held-out scores.

NExT-GQA's own layout (csv, gsub json, map of videos) goes through import, check, search, evaluate
and attribute by the command line, on a tiny checkpoint of the real class.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from merit_interp.benchmarks.items import read_items
from merit_interp.recipe import read_recipe, write_recipe
from tests.cli.conftest import Command, command
from tests.tiny_families import tiny_family_pair
from tests.videos_on_disk import frames_of_levels, shared_video, write_video

__all__ = ["command"]

COLUMNS = (
    "video_id", "frame_count", "width", "height", "question", "answer", "qid", "type",
    "a0", "a1", "a2", "a3", "a4",
)  # fmt: skip
FPS = 5
N_FRAMES = 10
TYPES = ("CW", "TN", "TC", "CH", "TP", "TC")


def nasa_clips(n_clips: int) -> list[np.ndarray]:
    """Cuts of a real film, far enough apart to differ, as frames of 64 x 36."""
    with av.open(str(shared_video("nasa_13013.mp4"))) as film:
        stream = max(film.streams.video, key=lambda stream: stream.height)
        frames = [
            frame.reformat(width=64, height=36, format="rgb24").to_ndarray()
            for frame in film.decode(stream)
        ]
    starts = np.linspace(0, len(frames) - 6 * N_FRAMES, n_clips).astype(int)
    return [np.stack(frames[start : start + 6 * N_FRAMES : 6]) for start in starts]


def made_clips(n_clips: int) -> list[np.ndarray]:
    return [frames_of_levels(N_FRAMES, size=64, seed=clip)[:, :36] for clip in range(n_clips)]


def write_next_gqa(folder: Path, clips: list[np.ndarray]) -> None:
    """`val.csv`, `gsub_val.json`, `map_vid_vidorID.json` and the videos, as published."""
    rows, located, names = [], {}, {}
    for number, frames in enumerate(clips):
        video = str(2400000000 + number)
        names[video] = f"0{number % 2}01/{video}"
        write_video(folder / "NExTVideo" / f"{names[video]}.mp4", frames, fps=FPS)
        options = [f"the {thing}" for thing in ("dog", "cup", "boy", "door", "ball")]
        for qid, kind in enumerate(TYPES):
            answer = options[(number + qid) % 5]
            question = f"what did it do in part {qid}"
            rows.append([video, N_FRAMES, 64, 36, question, answer, qid, kind, *options])
        located[video] = {
            "duration": N_FRAMES / FPS,
            "fps": FPS,
            "location": {str(qid): [[0.4, 0.9]] for qid in range(len(TYPES))},
        }
    with (folder / "val.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    (folder / "gsub_val.json").write_text(json.dumps(located))
    (folder / "map_vid_vidorID.json").write_text(json.dumps(names))


@pytest.mark.parametrize("clips", [made_clips, nasa_clips])
def test_from_published_files_to_held_out_scores(
    clips: Callable[[int], list[np.ndarray]],
    tmp_path: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # pictures take seconds and are tested elsewhere
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "no-browser"))
    write_next_gqa(tmp_path, clips(9))
    items = tmp_path / "items.jsonl"
    done = command(
        "items", "import", "next_gqa", "--annotations", tmp_path, "--videos",
        tmp_path / "NExTVideo", "--out", items,
    )  # fmt: skip
    assert done.code == 0, done.err
    found = read_items(items).items
    assert len(found) == 9 * len(TYPES)
    assert {item.evidence for item in found} == {((0.4, 0.9),)}
    done = command("items", "check", items, "--power")
    assert done.code == 0, done.out + done.err

    pair = tiny_family_pair("qwen2_5_vl", tmp_path / "pair")
    run = tmp_path / "run"
    done = command(
        "search", "--vlm", pair.vlm, "--backbone", pair.backbone, "--items", items, "--out", run,
        "--sampler", "cmaes", "--budget", 8, "--top", 2, "--max-frames", 8,
        "--validation-share", 0.33, "--held-out-share", 0.34,
    )  # fmt: skip
    assert done.code == 0, done.err
    recipe = read_recipe(run / "recipe.json")
    assert recipe.items is not None
    assert recipe.items.split == "search"

    # a search of eight may end at the VLM itself, which there is nothing to explain of
    write_recipe(recipe.with_layers({1: 0.5, 2: 1.0}), run / "recipe.json")
    out = run / "evaluated"
    chosen = ("--recipe", run / "recipe.json", "--split", "held_out", "--out", out)
    done = command("evaluate", *chosen, "--draws", 2, "--video-control", "black,evidence_removed")
    assert done.code == 0, done.err
    skills = pd.read_parquet(out / "tables" / "skill_table.parquet")
    assert set(skills["item_set"]) == {"held_out"}
    assert skills["accuracy"].between(0.0, 1.0).all()
    controls = pd.read_parquet(out / "tables" / "visual_dependency.parquet")
    assert len(controls) > 0

    done = command(
        "attribute", "--recipe", run / "recipe.json", "--split", "held_out", "--limit", 3,
        "--draws", 1, "--no-controls", "--no-png",
    )  # fmt: skip
    assert done.code == 0, done.err

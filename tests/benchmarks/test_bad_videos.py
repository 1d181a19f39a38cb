"""A folder with every kind of bad video that people have: the run ends, and each has its line."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import av
import pytest

from merit_interp.benchmarks.decoding_process import decoding_process
from merit_interp.benchmarks.items import Item, read_items, write_items
from merit_interp.cli.main import main
from merit_interp.microworld import backbone_directory, vlm_directory
from merit_interp.microworld.item_sets import write_item_sets
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.fingerprints import fingerprint, items_digest
from merit_interp.recipe import ItemsReference, ModelReference, Recipe, Scoring, write_recipe
from tests.videos_on_disk import (
    audio_file,
    encoded_video,
    lively_frames,
    overwritten,
    tiny_video,
    write_video,
)

LIMIT_S = 6.0

STUCK_DECORD = '''
"""decord, but for one file that it never comes back from, holding the interpreter's lock."""
import ctypes, importlib.util, sys
from pathlib import Path

_here = Path(__file__).resolve().parent
_others = [path for path in sys.path if Path(path or ".").resolve() != _here]
_spec = importlib.machinery.PathFinder.find_spec("decord", _others)
_real = importlib.util.module_from_spec(_spec)
sys.modules["decord"] = _real
_spec.loader.exec_module(_real)

_reader = _real.VideoReader

def VideoReader(path, *args, **kwargs):
    if Path(path).name == "stuck.mp4":
        while True:
            # PyDLL calls with the lock held: no other thread and no handler of a signal runs
            ctypes.PyDLL(None).sleep(3600)
    return _reader(path, *args, **kwargs)

_real.VideoReader = VideoReader
'''

SAYS = {
    "audio": "there is no video in it, only audio",
    "zero": "the file is empty",
    "text": "the file is text ('<html>not found</html>')",
    "truncated": "it cannot be opened as a video: Invalid data found",
    "cut_off": "too damaged: ",
    "missing": "No such file or directory",
    "leaves": "video '../outside.mp4' leaves the folder of the items file",
    "link": "is a link out of the items file's folder, to ",
    "stuck": f"not decoded within {LIMIT_S:g} s; the decoder was stopped",
}
"""What is said of each video that cannot be used."""
USED = {"h264": "ok", "h265": "ok", "av1": "ok", "overwritten": "damaged", "short": "short"}
"""How the videos that can be used are reported."""
ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    "h265": ("libx265", {"x265-params": "keyint=12"}),
    "av1": ("libsvtav1", {}),
}
"""Codecs that not every build of PyAV can write."""


@dataclass(frozen=True)
class Folder:
    """Items on all kinds of videos, and a recipe to evaluate on them."""

    items: Path
    recipe: Path
    kinds: tuple[str, ...]


def write_bad_videos(folder: Path) -> tuple[str, ...]:
    """All kinds, but for a codec that PyAV's build cannot write; their names."""
    frames = lively_frames(48)
    write_video(folder / "h264.mp4", frames, fps=10)
    audio_file(folder / "audio.mp4")
    (folder / "zero.mp4").touch()
    (folder / "text.mp4").write_text("<html>not found</html>")
    content = (folder / "h264.mp4").read_bytes()
    (folder / "truncated.mp4").write_bytes(content[: len(content) // 2])
    # the index lies first in this one, and promises frames that are not there
    encoded_video(folder / "whole.mkv", frames, "libx264", options={"g": "12"})
    content = (folder / "whole.mkv").read_bytes()
    (folder / "cut_off.mkv").write_bytes(content[: len(content) // 3])
    (folder / "whole.mkv").unlink()
    overwritten(folder / "overwritten.mp4", folder / "h264.mp4")
    tiny_video(folder.parent / "outside.mp4")
    (folder / "link.mp4").symlink_to(folder.parent / "outside.mp4")
    tiny_video(folder / "short.mp4", n_frames=3)
    shutil.copy(folder / "h264.mp4", folder / "stuck.mp4")
    for kind, (codec, options) in ENCODERS.items():
        if codec in av.codecs_available:
            encoded_video(folder / f"{kind}.mkv", frames, codec, options=options)
    left_out = {kind for kind, (codec, _) in ENCODERS.items() if codec not in av.codecs_available}
    return tuple(kind for kind in (*USED, *SAYS) if kind not in left_out)


def video_name(kind: str, folder: Path) -> str:
    if kind == "leaves":
        return "../outside.mp4"
    found = sorted(path.name for path in folder.iterdir() if path.stem == kind)
    return found[0] if found else f"{kind}.mp4"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    root = tmp_path_factory.mktemp("bad")
    (root / "set").mkdir()
    kinds = write_bad_videos(root / "set")
    asked = read_items(write_item_sets(root / "world", sizes={"search": 1})["search"]).items
    path = root / "set" / "items.jsonl"
    items = [
        Item(
            kind, video_name(kind, root / "set"), asked[i % 6].question, asked[i % 6].options,
            asked[i % 6].answer, asked[i % 6].skill,
        )
        for i, kind in enumerate(kinds)
    ]  # fmt: skip
    write_items(path, items)

    def reference(directory: Path) -> ModelReference:
        found = fingerprint(Checkpoint.open(str(directory)))
        return ModelReference(source=str(directory), fingerprint=found)

    described = ItemsReference(
        source=str(path), sha256=items_digest(path), split="all",
        scoring=Scoring(answers="option_text", max_frames=16),
    )  # fmt: skip
    write_recipe(
        Recipe(
            vlm=reference(vlm_directory()), backbone=reference(backbone_directory()),
            layers={1: 1.0}, items=described,
        ),
        root / "recipe.json",
    )  # fmt: skip
    return Folder(path, root / "recipe.json", kinds)


@pytest.fixture
def stuck_decord(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child's decord, and no other, never comes back from `stuck.mp4`."""
    (tmp_path / "injected").mkdir()
    (tmp_path / "injected" / "decord.py").write_text(STUCK_DECORD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "injected"))
    decoding_process().close()


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return int(end.value.code or 0)


@pytest.mark.usefixtures("stuck_decord")
def test_an_evaluation_ends_and_each_video_has_its_line(
    folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    started = time.monotonic()
    code = run(
        "evaluate", "--recipe", folder.recipe, "--items", folder.items, "--out", out,
        "--draws", 0, "--max-failed", 0.7, "--video-time-limit", LIMIT_S, "--json",
    )  # fmt: skip
    seconds = time.monotonic() - started
    printed = capsys.readouterr()
    assert code == 0, printed.err
    rows = [json.loads(line) for line in (out / "decoding.jsonl").read_text().splitlines()]
    assert [row["item"] for row in rows] == list(folder.kinds)
    by_item = {row["item"]: row for row in rows}
    for kind, says in SAYS.items():
        assert by_item[kind]["status"] == "failed"
        (problem,) = by_item[kind]["problems"]
        assert says in problem
        assert f"failed {kind}: {problem}" in printed.err.splitlines()
    used = {kind: status for kind, status in USED.items() if kind in folder.kinds}
    for kind, status in used.items():
        assert by_item[kind]["status"] == status, by_item[kind]
    assert by_item["h264"]["decoder"] == "decord"
    # decord takes wrong frames of the one, and lacks the other
    for kind in used.keys() & ENCODERS:
        assert by_item[kind]["decoder"] == "pyav"
    assert (by_item["short"]["requested"], by_item["short"]["decoded"]) == (16, 3)
    assert by_item["overwritten"]["replaced"] > 0
    assert f"of {len(rows)} items' videos {len(SAYS)} could not be decoded" in printed.err
    # no video takes more than the limit, and the one that never ends has no more than that
    assert max(row["seconds"] for row in rows) < LIMIT_S + 2
    assert by_item["stuck"]["seconds"] >= LIMIT_S
    assert seconds < 600
    scores = [json.loads(line) for line in (out / "scores.jsonl").read_text().splitlines()]
    scored = {row["item"] for row in scores if row["model"] == "merged" and row["status"] == "ok"}
    assert scored == set(used)


@pytest.mark.usefixtures("stuck_decord")
def test_a_check_gives_each_video_its_fault(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("items", "check", folder.items, "--video-time-limit", LIMIT_S) == 2
    lines = capsys.readouterr().out.splitlines()
    for kind, says in SAYS.items():
        (line,) = [line for line in lines if f" ({kind}): " in line]
        assert says in line
    assert any("(overwritten): " in line for line in lines)
    for kind in ("h264", "h265", "av1", "short"):
        assert not any(f" ({kind}): " in line for line in lines)

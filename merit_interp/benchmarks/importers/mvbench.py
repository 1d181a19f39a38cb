"""MVBench: twenty tasks of 200 questions, each task on the videos of another data set.

    merit-interp items import mvbench --annotations json --videos video ...

Candidates are bare texts and the gold answer is one of them, by its text. Five tasks ask about a
part of the video. `--bounds keep` (the default) keeps that bound, as the benchmark's own code does;
`--bounds drop` takes the videos as they are, which is right for the pre-cut folders that lmms-eval
reads. They are looked for first, and an item whose video lies elsewhere is flagged. Episodic
reasoning has directories of frames, 3 a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from merit_interp.benchmarks.annotation_files import Row, RowError, files_in, read_rows
from merit_interp.benchmarks.gold_answers import answer_index
from merit_interp.benchmarks.importing import (
    Benchmark,
    Imported,
    ImportOptions,
    LeftOut,
    Outcome,
    outcomes,
)
from merit_interp.benchmarks.items import Item
from merit_interp.errors import ItemError

_NEEDS = ("video", "question", "candidates", "answer")


@dataclass(frozen=True)
class Task:
    """One file of a benchmark that has a file a task."""

    name: str
    folder: str
    """Below the video folder."""
    bounded: bool = False
    """Its rows may name the part of the video that they ask about."""
    cut_folder: str = ""
    """Where pre-cut videos lie."""
    fps: float | None = None
    """Rate of its directories of frames."""
    same_videos_as: str = ""
    """Another task's folder, which holds videos of the same data set by the same names."""
    one_name_one_video: bool = False
    """A name that other tasks have too is the same video, though it lies in another folder."""


_NOT_CUT = "bound was dropped and no pre-cut video found: the one that is asked about may be whole"
_CHARADES = ("star/Charades_v1_480", True, "star/Charades_segment")
_CLEVRER = "clevrer/video_validation"
_PERCEPTION = "perception/videos"
_TASKS = {
    task.name: task
    for task in (
        Task("action_sequence", *_CHARADES),
        Task("action_prediction", *_CHARADES),
        Task("object_interaction", *_CHARADES),
        # Charades-STA names moments of the videos of Charades, which STAR asks about too
        Task(
            "action_localization",
            "sta/sta_video",
            True,
            "sta/sta_video_segment",
            same_videos_as=_CHARADES[0],
        ),
        Task("episodic_reasoning", "tvqa/frames_fps3_hq", True, "tvqa/video_fps3_hq_segment", 3.0),
        Task("action_antonym", "ssv2_video"),
        Task("fine_grained_action", "Moments_in_Time_Raw/videos"),
        Task("unexpected_action", "FunQA_test/test"),
        Task("object_existence", _CLEVRER),
        Task("moving_direction", _CLEVRER),
        Task("moving_count", _CLEVRER),
        Task("moving_attribute", _CLEVRER),
        Task("counterfactual_inference", _CLEVRER),
        Task("object_shuffle", _PERCEPTION),
        Task("action_count", _PERCEPTION),
        Task("state_change", _PERCEPTION),
        Task("character_order", _PERCEPTION),
        Task("scene_transition", "scene_qa/video"),
        Task("fine_grained_pose", "nturgbd"),
        Task("egocentric_navigation", "vlnqa"),
    )
}


def task_files(
    path: Path, options: ImportOptions, tasks: Mapping[str, Task]
) -> tuple[tuple[Path, Task], ...]:
    """The files of a benchmark that has a file a task, each with its task.

    Args:
        path: One file, or their directory.
        options: Its subset is a task.
        tasks: By the stem of their file.

    Raises:
        ItemError: There is no such file.
    """
    if path.is_dir() and options.subset is not None:
        files = files_in(path, f"{options.subset}.json")
    else:
        files = files_in(path)
    known = tuple((file, tasks[_stem(file)]) for file in files if _stem(file) in tasks)
    known = tuple((file, task) for file, task in known if options.subset in (None, task.name))
    if not known:
        raise ItemError(f"{path} holds no task's file", valid=", ".join(f"{n}.json" for n in tasks))
    return known


def _stem(file: Path) -> str:
    return file.stem.lower()


def read_tasks(
    name: str, path: Path, options: ImportOptions, tasks: Mapping[str, Task]
) -> Iterator[Outcome]:
    """The rows of a benchmark that has a file a task.

    Args:
        name: Of the benchmark.
        path: One file, or their directory.
        options: Subset and bounds.
        tasks: By the stem of their file.
    """
    for file, task in task_files(path, options, tasks):
        for number, row in enumerate(read_rows(file, needs=_NEEDS), start=1):

            def convert(row: Row, task: Task = task, number: int = number) -> Imported:
                return _item(f"{name}/{task.name}/{number}", name, task, row, options)

            yield from outcomes([row], convert)
    if path.is_dir() and options.subset is None:
        for file in files_in(path):
            if _stem(file) not in tasks:
                yield LeftOut(file.name, "file is named like no task")


def _item(item_id: str, name: str, task: Task, row: Row, options: ImportOptions) -> Imported:
    choices = row.texts("candidates")
    video = row.text("video")
    bounds = _bounds(row) if task.bounded else (None, None)
    bounded = bounds != (None, None)
    drop = bounded and options.bounds == "drop"
    folders = [task.folder]
    if drop and task.cut_folder:
        folders.insert(0, task.cut_folder)
    places = [f"{folder}/{video}" for folder in folders] + [video]
    source = task.same_videos_as or task.folder
    return Imported(
        Item(
            id=item_id,
            video=places[0],
            question=row.text("question"),
            options=choices,
            answer=answer_index(choices, row.text("answer")),
            skill="other",
            benchmark=name,
            category=task.name,
            group=video if task.one_name_one_video else f"{source}/{video}",
            start_s=None if drop else bounds[0],
            end_s=None if drop else bounds[1],
            fps=task.fps,
        ),
        flags=("bound was dropped",) if drop else (),
        other_videos=tuple(places[1:]),
        flag_elsewhere=_NOT_CUT if drop and task.cut_folder else "",
    )


def _bounds(row: Row) -> tuple[float | None, float | None]:
    start, end = row.optional_number("start"), row.optional_number("end")
    if start is not None and end is not None and end <= start:
        raise RowError(f"bound ends before it begins: {start:g} to {end:g} s")
    return start, end


def _files(path: Path, options: ImportOptions) -> tuple[Path, ...]:
    return tuple(file for file, _ in task_files(path, options, _TASKS))


def _read(path: Path, options: ImportOptions) -> Iterator[Outcome]:
    return read_tasks("mvbench", path, options, _TASKS)


BENCHMARK = Benchmark(
    name="mvbench",
    title="MVBench",
    annotations="the directory of its 20 json files, or one of them",
    read=_read,
    files=_files,
    checked="code",
    source="Hugging Face OpenGVLab/MVBench",
    subsets=tuple(_TASKS),
)

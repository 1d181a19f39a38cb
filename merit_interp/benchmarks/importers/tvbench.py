"""TVBench: ten tasks that one frame or the text alone cannot solve; rows are like MVBench's.

    merit-interp items import tvbench --annotations json --videos video ...

Action sequence and action localization ask about a part of the video; see `mvbench` on bounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from merit_interp.benchmarks.importers.mvbench import Task, read_tasks, task_files
from merit_interp.benchmarks.importing import Benchmark, ImportOptions, Outcome

_TASKS = {
    name: Task(
        name,
        name,
        bounded=name in ("action_sequence", "action_localization"),
        # tasks share sources and their names, and a video in two parts of a split would be worse
        # than two videos in one group
        one_name_one_video=True,
    )
    for name in (
        "action_antonym",
        "action_count",
        "action_localization",
        "action_sequence",
        "egocentric_sequence",
        "moving_direction",
        "object_count",
        "object_shuffle",
        "scene_transition",
        "unexpected_action",
    )
}


def _files(path: Path, options: ImportOptions) -> tuple[Path, ...]:
    return tuple(file for file, _ in task_files(path, options, _TASKS))


def _read(path: Path, options: ImportOptions) -> Iterator[Outcome]:
    return read_tasks("tvbench", path, options, _TASKS)


BENCHMARK = Benchmark(
    name="tvbench",
    title="TVBench",
    annotations="the directory of its 10 json files, or one of them",
    read=_read,
    files=_files,
    checked="code",
    source="Hugging Face FunAILab/TVBench",
    subsets=tuple(_TASKS),
)

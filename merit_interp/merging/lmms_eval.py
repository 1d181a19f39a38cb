"""The command by which lmms-eval scores a merged checkpoint on the benchmarks that we import.

    lines = lmms_eval_section("qwen2_5_vl", lmms_eval_tasks("video_mme,mvbench"), "merged", 16)

What lmms-eval calls its models and tasks is data, in `lmms_eval.json`. This file must not know
checkpoints or recipes, and runs nothing.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from merit_interp.errors import SettingError


@cache
def _table() -> dict[str, Any]:
    text = files("merit_interp.merging").joinpath("lmms_eval.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def lmms_eval_tasks(names: str) -> tuple[str, ...]:
    """lmms-eval's own names of the tasks that a user asked for, in the user's order.

    Args:
        names: With commas; each a benchmark as `items import` calls it, or a task of lmms-eval.

    Raises:
        SettingError: lmms-eval has no task for one of them.
    """
    benchmarks = _table()["tasks"]
    known = {task for about in benchmarks.values() for task in about["tasks"]}
    tasks: list[str] = []
    for name in (part.strip() for part in names.split(",")):
        benchmark = name.lower().replace("-", "_")
        if name not in known and benchmark not in benchmarks:
            raise SettingError(f"lmms-eval has no task for {name!r}", valid=", ".join(benchmarks))
        tasks += [name] if name in known else benchmarks[benchmark]["tasks"]
    return tuple(dict.fromkeys(tasks))


def check_lmms_eval(model_type: str) -> None:
    """Refuse a checkpoint that lmms-eval cannot load.

    Args:
        model_type: Of the VLM's config.json.

    Raises:
        SettingError: lmms-eval has no model for it.
    """
    table = _table()
    if model_type not in table["models"]:
        why = table["without_model"].get(model_type)
        raise SettingError(
            f"lmms-eval has no model for {model_type} checkpoints" + (f": {why}" if why else ""),
            valid=f"a checkpoint of {', '.join(table['models'])}",
        )


def lmms_eval_section(
    model_type: str, tasks: Sequence[str], name: str, max_frames: int
) -> list[str]:
    """Lines of Markdown: the command, what is compared with what, and what to know of each task.

    Args:
        model_type: Of the VLM's config.json.
        tasks: As `lmms_eval_tasks` returns them.
        name: The checkpoint's directory, seen from where the command is run.
        max_frames: Frames of a video that the recipe was searched with.

    Raises:
        SettingError: lmms-eval has no model for the checkpoint.
    """
    check_lmms_eval(model_type)
    model = _table()["models"][model_type]
    frames = f"{model['frames']}={model.get('only_frames', max_frames)}"
    options = f" {model['options']}" if "options" in model else ""
    notes = [
        f"- {', '.join(f'`{task}`' for task in about['tasks'] if task in tasks)}: {about['note']}."
        for about in _table()["tasks"].values()
        if "note" in about and set(about["tasks"]) & set(tasks)
    ]
    return [
        "## Score it with lmms-eval",
        "",
        "From the directory that holds this one, with lmms-eval as it was in 2026:",
        "",
        "```bash",
        f"python -m lmms_eval --model {model['model']} \\",
        f"    --model_args {shlex.quote(f'pretrained={name},{frames}')} \\",
        f"    --tasks {','.join(tasks)} --batch_size 1 --output_path lmms-eval{options}",
        "```",
        "",
        "lmms-eval has prompts, frames and answer parsers of its own: compare with the same "
        "command on the unmerged VLM (`pretrained=` its directory or hub id), not with numbers of "
        "merit-interp.",
        *(["", *notes] if notes else []),
    ]

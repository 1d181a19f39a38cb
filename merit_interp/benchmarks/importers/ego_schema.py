"""EgoSchema: five long options on three minutes of a day; 500 of 5,031 answers are public.

    merit-interp items import ego_schema --annotations EgoSchema --videos videos ...

The repository has the questions (questions.json) and 500 answers (subset_answers.json); the rest
is scored by a server. Questions without a public answer are left out, and questions without the
file of answers are refused. The rows of the Hugging Face port hold their answer themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from merit_interp.benchmarks.annotation_files import (
    Row,
    RowError,
    files_in,
    read_map,
    read_rows,
)
from merit_interp.benchmarks.gold_answers import answer_letter
from merit_interp.benchmarks.importing import (
    Benchmark,
    Imported,
    ImportOptions,
    LeftOut,
    Outcome,
    outcomes,
)
from merit_interp.benchmarks.inline_options import without_letters
from merit_interp.benchmarks.items import Item
from merit_interp.errors import ItemError

_ANSWERS = "subset_answers.json"
_DURATION_S = 180.0
_REPOSITORY = ("q_uid", "question", *(f"option {i}" for i in range(5)))
_PORT = ("video_idx", "question", "option")


def _files(path: Path, options: ImportOptions) -> tuple[Path, ...]:
    path = Path(path)
    directory = path if path.is_dir() else path.parent
    questions = directory / "questions.json" if path.is_dir() else path
    if questions.name != "questions.json":
        return files_in(questions)
    if not questions.is_file() and path.is_dir():
        # the rows of the port have no file of answers
        return files_in(path)
    if questions.is_file() and not (directory / _ANSWERS).is_file():
        raise ItemError(
            f"EgoSchema withholds the answers to {questions}",
            valid=f"{_ANSWERS} beside it, with the 500 that are public",
        )
    return (*files_in(questions), directory / _ANSWERS)


def _read(path: Path, options: ImportOptions) -> Iterator[Outcome]:
    files = _files(path, options)
    answers: dict[str, Any] = {}
    if files[-1].name == _ANSWERS:
        answers = read_map(files[-1])
        files = files[:-1]
    for file in files:
        rows = read_rows(file, needs=_REPOSITORY if answers else _PORT)
        yield from outcomes(rows, lambda row: _outcome(row, answers))


def _outcome(row: Row, answers: Mapping[str, Any]) -> Outcome:
    if not answers:
        name = row.text("question_idx" if "question_idx" in row.fields else "video_idx")
        options = without_letters(row.texts("option"))
        return _item(name, row.text("video_idx"), row, options, row.fields.get("answer"))
    name = row.text("q_uid")
    if name not in answers:
        return LeftOut(f"ego_schema/{name}", "answer is not public")
    options = tuple(row.text(f"option {i}") for i in range(5))
    return _item(name, name, row, options, answers[name])


def _item(name: str, video: str, row: Row, options: tuple[str, ...], answer: object) -> Outcome:
    if answer in (None, ""):
        return LeftOut(f"ego_schema/{name}", "answer is not public")
    return Imported(
        Item(
            id=f"ego_schema/{name}",
            video=video,
            question=row.text("question"),
            options=options,
            # a number, which a table with gaps holds as a float, or a letter
            answer=_index(options, Row(row.place, {"answer": answer}).text("answer")),
            skill="other",
            benchmark="ego_schema",
            group=video,
        ),
        duration_s=_DURATION_S,
        roles_of=("all",),
    )


def _index(options: tuple[str, ...], answer: str) -> int:
    if not answer.isdecimal():
        return answer_letter(options, answer)
    if int(answer) >= len(options):
        raise RowError(f"answer is no index of an option: {answer}")
    return int(answer)


BENCHMARK = Benchmark(
    name="ego_schema",
    title="EgoSchema",
    annotations="the directory with questions.json and subset_answers.json; or the rows of the "
    "Hugging Face port (Subset) as parquet, json or jsonl",
    read=_read,
    files=_files,
    checked="code",
    source="GitHub egoschema/EgoSchema; Hugging Face lmms-lab/egoschema",
)

"""A run that is opened is data frames, words and figures, or one clear error."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import pytest

import merit_interp as mi
from merit_interp.errors import RunError, SettingError
from merit_interp.explore.columns import TABLES
from tests.synthetic_run import made_up_recipe, write_run
from tests.synthetic_study import PLAN, write_study

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> mi.Run:
    return mi.open_run(write_study(tmp_path_factory.mktemp("runs") / "study"))


@pytest.mark.parametrize("table", TABLES)
def test_every_table_is_there_and_every_column_is_documented(run: mi.Run, table: str) -> None:
    frame = getattr(run, table)
    assert isinstance(frame, pd.DataFrame)
    # the run's answers are letters, in the items' own order
    assert bool(len(frame)) == (table not in ("circular", "answers_read"))
    columns = run.columns(table)
    assert list(columns["column"]) == list(frame.columns)
    assert list(columns["type"]) == [str(kind) for kind in frame.dtypes]
    assert columns["meaning"].str.len().min() > 5


def test_tables_are_read_once(run: mi.Run) -> None:
    assert run.scores is run.scores
    assert run.masking is run.masking
    assert len(run.scores) == len(run.records.scores)
    assert run.trials["split"].value_counts().to_dict() == {"search": 12, "validation": 4}


def test_what_was_found_in_words(run: mi.Run) -> None:
    assert run.verdict_lines[1].startswith("Reasoning rose: ")
    assert run.verdict_lines[-1].startswith("On longer_clips: ")
    assert run.mask_lines == run.masking.verdict.lines
    assert "50.1% in the merged model (chance 12.5%)" in run.attribution_lines[0]
    assert "reasoning ends at +0.57" in run.lens_lines[0]
    assert "merging changes that by +1.04" in run.lens_lines[0]
    assert run.control_lines[0].startswith("Reasoning, the VLM: ")
    parts = (run.mask_lines, run.attribution_lines, run.lens_lines)
    assert run.lines == sum((run.verdict_lines, run.control_lines, *parts), ())


def test_every_figure_is_drawn_by_its_name(run: mi.Run) -> None:
    names = run.figures
    assert {"search-landscape", "pareto", "recipe", "skills", "skills-table"} <= set(names)
    assert {"mask-layers", "mask-sets", "mask-depth", "attribution-shift"} <= set(names)
    assert {"lens-layers", "lens-head-costs"} <= set(names)
    assert [figure.name for figure in run.figures_of("mask")] == [
        name for name in names if name.startswith("mask-")
    ]
    for name in names:
        named = run.named_figure(name)
        assert isinstance(run.figure(name), go.Figure)
        assert named.name == name
        assert len(named.words) > 20
    with pytest.raises(SettingError, match=r"no figure 'mask-heads'; valid: mask-layers, mask-"):
        run.figure("mask-heads")
    with pytest.raises(SettingError, match=r"no figure 'front'; valid: search-history, pareto"):
        run.figure("front")
    with pytest.raises(SettingError, match=r"no part 'heads'; valid: mask, attribute, lens"):
        run.figures_of("heads")


def test_items_are_found_by_id_or_by_rule(run: mi.Run) -> None:
    examples = run.examples()
    assert run.example_items == tuple(example.item for example in examples)
    assert examples[0].kind == "right"
    assert run.item_figure("v03-0").name == "attribution-item-v03-0"
    with pytest.raises(SettingError, match="item 'v99-0' of 'validation' is not attributed"):
        run.item_figure("v99-0")
    assert isinstance(run.categories_figure("vlm"), go.Figure)
    with pytest.raises(SettingError, match="model 'other' was not masked; valid: vlm, merged"):
        run.categories_figure("other")


def test_a_figure_of_an_item_is_a_file_in_its_directory(tmp_path: Path) -> None:
    path = write_study(tmp_path / "run")
    for name in ("attributions.jsonl", "attributed_items.jsonl"):
        lines = (path / "attribute" / name).read_text()
        (path / "attribute" / name).write_text(lines.replace('"v03-0"', '"../v 03"'))
    assert mi.open_run(path).item_figure("../v 03").name == "attribution-item-.._v_03"


def test_a_wrong_path_or_an_unfinished_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(mi.MeritError, match=r"no run at .*nothing; valid: a directory that"):
        mi.open_run(tmp_path / "nothing")
    path = write_run(tmp_path / "cut", PLAN, finished=False)
    with pytest.raises(RunError, match=r"cut is not finished; valid: its command again with --res"):
        mi.open_run(str(path))


def test_a_part_that_is_missing_names_its_command(tmp_path: Path) -> None:
    run = mi.open_run(write_run(tmp_path / "run", PLAN))
    assert run.tables == ("scores", "skills", "summary", "letter_prior", "trials")
    assert (run.parts, run.mask_lines, run.attribution_lines, run.lens_lines) == ((), (), (), ())
    assert run.control_lines == ()
    assert (len(run.video_controls), len(run.pair_consistency)) == (0, 0)
    with pytest.raises(
        RunError, match=r"no finished `mask`; valid: `merit-interp mask --recipe .*"
    ):
        _ = run.mask_layers
    (tmp_path / "run" / "attribute").mkdir()
    with pytest.raises(RunError, match=r"`attribute`; valid: .*recipe.json` with --resume first"):
        run.figure("attribution-shift")
    with pytest.raises(SettingError, match=r"no table 'tables'; valid: scores, skills"):
        run.columns("tables")
    shown = run._repr_html_()
    assert "Nothing of <code>merit-interp mask</code> yet" in shown
    assert "run.trials" in shown
    assert "run.mask_layers" not in shown


def test_a_damaged_record_is_one_line_when_it_is_needed(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", PLAN)
    (path / "scores.jsonl").write_text('{"item": 1}\n')
    run = mi.open_run(path)
    assert run.recipe is not None
    with pytest.raises(RunError, match=r"scores\.jsonl holds no ItemScore records"):
        _ = run.scores


def test_what_a_notebook_shows_is_text_and_never_markup(tmp_path: Path) -> None:
    path = write_run(tmp_path / EVIL.replace("/", ""), PLAN)
    content = json.loads((path / "recipe.json").read_text())
    content["vlm"]["source"] = EVIL
    (path / "recipe.json").write_text(json.dumps(content))
    lines = (path / "scores.jsonl").read_text()
    (path / "scores.jsonl").write_text(lines.replace("longer_clips", EVIL))
    run = mi.open_run(path)
    pages = [run._repr_html_(), run.recipe._repr_html_(), run.summary._repr_html_()]  # type: ignore[union-attr,operator]
    for page in pages:
        assert "<img" not in page
        assert "&lt;img" in page


def test_a_recipe_shows_its_layers() -> None:
    page = made_up_recipe({2: 0.85, 5: 1.0})._repr_html_()
    assert "<tr><td>2</td><td>0.850</td></tr><tr><td>5</td><td>1.000</td></tr>" in page
    apart = made_up_recipe({2: {"q": 0.5, "v": 0.25}})._repr_html_()
    assert "<th>layer</th><th>q</th><th>k</th><th>v</th><th>o</th>" in apart
    assert "<td>2</td><td>0.500</td><td>0.000</td><td>0.250</td><td>0.000</td>" in apart
    assert "No layer is merged" in made_up_recipe({})._repr_html_()


def test_the_package_names_what_it_has() -> None:
    assert set(mi.__all__) <= set(dir(mi))
    with pytest.raises(AttributeError, match="open_runs"):
        _ = mi.open_runs  # type: ignore[attr-defined]

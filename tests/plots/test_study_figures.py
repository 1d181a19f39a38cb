"""Figures say what the frames say: their data is checked, and that it arrives in the drawing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from merit_interp.errors import SettingError
from merit_interp.plots.files import html_fragment, write_html, write_pictures
from merit_interp.plots.pareto import draw_pareto, pareto
from merit_interp.plots.recipe_strip import draw_recipe_strip, recipe_strip
from merit_interp.plots.search_history import draw_search_history, search_history
from merit_interp.plots.skill_comparison import draw_skill_comparison, skill_comparison
from merit_interp.plots.style import PERCEPTION, REASONING, styled, untitled
from merit_interp.tables.item_frames import item_scores, trial_frame
from merit_interp.tables.skills import baseline_summary
from tests.synthetic_run import Plan, made_up_recipe, made_up_scores, made_up_trials

RECIPE = made_up_recipe()
TRIALS = trial_frame(made_up_trials(RECIPE, 30), chosen=RECIPE.merge_hash)


def trace(figure: go.Figure, name: str) -> go.Scatter:
    return next(trace for trace in figure.data if trace.name == name)


def test_history_holds_every_trial_and_a_best_that_never_falls() -> None:
    history = search_history(TRIALS, unit="nats")
    assert history.numbers == tuple(range(30))
    assert list(history.best_so_far) == np.maximum.accumulate(history.objective).tolist()
    figure = draw_search_history(history)
    assert list(trace(figure, "Best so far").y) == list(history.best_so_far)
    assert list(trace(figure, REASONING.label).y) == list(history.delta_tr_points)
    assert "30 recipes were tried" in history.describe()
    assert f"trial {int(np.argmax(history.objective))}" in history.describe()


def test_pareto_marks_the_front_and_the_chosen_recipe() -> None:
    data = pareto(TRIALS, unit="nats")
    assert len(data.trials) == 30
    for one in data.front:
        assert not any(
            other.delta_tr >= one.delta_tr and other.delta_tp > one.delta_tp
            for other in data.trials
        )
    assert data.chosen is not None
    assert data.chosen.number == 24
    figure = draw_pareto(data)
    assert len(trace(figure, "Trial").x) + len(trace(figure, "Pareto front").x) == 30
    (chosen,) = trace(figure, "Chosen recipe").customdata
    assert chosen[0] == 24
    assert "trial 24" in data.describe()
    assert data.validated is None


def test_the_chosen_recipe_has_its_intervals_on_validation() -> None:
    reasoning = {"delta": 1.5, "low": 1.0, "high": 2.25}
    perception = {"delta": -0.25, "low": -0.5, "high": 0.0}
    search = {
        "objective": "margin",
        "scores": {"validation": {"reasoning": {"margin_nats": reasoning},
                                  "perception": {"margin_nats": perception}}},
    }  # fmt: skip
    data = pareto(TRIALS, unit="nats", search=search)
    mark = trace(draw_pareto(data), "The same on validation, 95% intervals")
    assert (mark.x, mark.y) == ((-0.25,), (1.5,))
    assert (mark.error_x.arrayminus, mark.error_x.array) == ((0.25,), (0.25,))
    assert (mark.error_y.arrayminus, mark.error_y.array) == ((0.5,), (0.75,))
    assert data.describe().endswith(
        "on validation: reasoning +1.500 (+1.000 to +2.250), perception −0.250 (−0.500 to 0.000) "
        "nats."
    )
    # a search in shares has its numbers elsewhere, an older one none
    for other in ({**search, "objective": "accuracy"}, {"objective": "margin"}, {"scores": None}):
        assert pareto(TRIALS, unit="nats", search=other).validated is None


def test_a_search_without_a_winner_has_no_star() -> None:
    data = pareto(trial_frame(made_up_trials(RECIPE, 5), chosen="none"), unit="nats")
    assert data.chosen is None
    assert "Chosen recipe" not in {trace.name for trace in draw_pareto(data).data}


def test_the_strip_has_a_bar_for_each_layer() -> None:
    strip = recipe_strip(RECIPE, n_layers=8)
    assert strip.merged == (2, 3, 5)
    shares = trace(draw_recipe_strip(strip), "From the backbone")
    assert list(shares.y) == [0, 0, 0.85, 0.4, 0, 1.0, 0, 0]
    assert strip.describe() == (
        "Merged text layers: 3 of 8 (layer 2 by 0.85, layer 3 by 0.40, layer 5 by 1.00)."
    )


def test_projections_that_differ_have_a_row_each() -> None:
    strip = recipe_strip(made_up_recipe({1: {"q": 0.5, "v": 1.0}}), n_layers=3)
    assert not strip.is_one_share_per_layer
    tiles, *texts = draw_recipe_strip(strip).data
    assert list(tiles.y) == ["q", "k", "v", "o"]
    assert [row[1] for row in tiles.z] == [0.5, 0.0, 1.0, 0.0]
    # what is merged has its share written, in letters that stand out from its tile
    written = {(y, t): trace.textfont.color for trace in texts
               for y, t in zip(trace.y, trace.text, strict=True)}  # fmt: skip
    assert written == {("q", "0.50"): "#000000", ("v", "1.00"): "#ffffff"}
    assert "layer 1 by q 0.50 k 0.00 v 1.00 o 0.00" in strip.describe()


def test_the_identity_and_an_unknown_depth_are_said() -> None:
    nothing = recipe_strip(made_up_recipe({}), n_layers=4)
    assert "the VLM itself" in nothing.describe()
    assert "No layer is merged" in str(draw_recipe_strip(nothing).layout.annotations)
    unknown = recipe_strip(RECIPE, n_layers=None)
    assert unknown.n_layers == 6
    assert unknown.describe().startswith("Merged text layers: 3 (")


@pytest.fixture(scope="module")
def panels() -> tuple:
    scores = made_up_scores(Plan(("validation", "longer_clips"), videos=6, draws=2))
    return skill_comparison(baseline_summary(item_scores(scores)))


def test_comparison_has_a_panel_an_item_set_and_intervals_everywhere(panels: tuple) -> None:
    assert [panel.item_set for panel in panels] == ["validation", "longer_clips"]
    panel = panels[0]
    assert panel.models[:2] == ("vlm", "merged")
    assert panel.skills == ("reasoning", "perception")
    assert panel.size_text == "30 + 24 questions on 6 videos"
    assert all(p.low <= p.accuracy <= p.high for p in panel.points)
    figure = draw_skill_comparison(panels, columns=2)
    assert len(figure.data) == 4
    reasoning = figure.data[0]
    expected = [100 * p.accuracy for p in panel.points if p.skill == "reasoning"]
    assert list(reasoning.x) == pytest.approx(expected)
    assert all(length >= 0 for length in reasoning.error_x.array)
    assert [t.showlegend for t in figure.data] == [True, True, False, False]
    assert "Random layers, mean of 2 draws" in panel.describe()


def test_an_undefined_interval_is_drawn_as_none(panels: tuple) -> None:
    one_video = [s for s in made_up_scores(Plan(("a",), videos=1, draws=0)) if s.model == "vlm"]
    (panel,) = skill_comparison(baseline_summary(item_scores(one_video)))
    assert math.isnan(panel.points[0].low)
    assert list(draw_skill_comparison([panel]).data[0].error_x.array) == [0.0]
    assert "(no interval)" in panel.describe()


def grey(colour: str) -> float:
    """Relative luminance of a colour in [0, 1], as a grey print shows it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_skills_differ_in_grey_in_symbol_and_in_dash_and_stand_out_from_white() -> None:
    lighter, darker = grey(PERCEPTION.colour), grey(REASONING.colour)
    assert (lighter + 0.05) / (darker + 0.05) > 1.8
    assert 1.05 / (lighter + 0.05) > 3
    assert REASONING.symbol != PERCEPTION.symbol
    assert REASONING.dash != PERCEPTION.dash


def test_a_fragment_asks_for_nothing_and_says_what_it_shows() -> None:
    figure = styled(go.Figure(go.Scatter(x=[1], y=[2])), title="A <b> title", height=300)
    fragment = html_fragment(figure, name="one", alternative='5 > 4 & "so"')
    assert 'id="one"' in fragment
    assert 'aria-label="5 &gt; 4 &amp; &quot;so&quot;"' in fragment
    assert "A \\u0026lt;b" not in fragment
    assert "http" not in fragment
    assert figure.layout.title.text == "A &lt;b&gt; title"
    assert untitled(figure).layout.height < 300


def test_without_a_browser_pictures_are_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "no-browser"))
    figure = draw_recipe_strip(recipe_strip(RECIPE, n_layers=8))
    with pytest.raises(SettingError, match="pictures need Chrome or Chromium"):
        write_pictures({tmp_path / "recipe.png": figure})
    assert not (tmp_path / "recipe.png").exists()


def test_an_html_file_needs_plotly_beside_it_and_nothing_else(tmp_path: Path) -> None:
    figure = draw_recipe_strip(recipe_strip(RECIPE, n_layers=8))
    write_html(tmp_path / "recipe.html", figure, alternative="a < b")
    page = (tmp_path / "recipe.html").read_text()
    assert page.count("<script") == 2
    assert '<script src="plotly.min.js">' in page
    assert 'aria-label="a &lt; b"' in page
    assert "http" not in page
    assert len(page) < 40_000
    assert (tmp_path / "plotly.min.js").stat().st_size > 1_000_000


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({}, "share of the backbone's self-attention in"),
        ({"weights": "text"}, "share of the backbone's all weights in"),
        ({"weights": "pattern", "pattern": "mlp.*"}, "weights that a pattern names in"),
    ],
)
def test_a_recipe_strip_says_what_is_merged(fields: dict[str, str], what: str) -> None:
    strip = recipe_strip(RECIPE.replaced(**fields), n_layers=8)
    assert what in str(draw_recipe_strip(strip).layout.title.text)

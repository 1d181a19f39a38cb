"""Pictures of figures in a notebook: through one browser, or a line that there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import kaleido
import plotly.graph_objects as go
import plotly.io
import pytest

from merit_interp.explore.pictures import keep_pictures
from tests.chromium import needs_chromium


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = plotly.io.renderers.default, plotly.io.renderers["png"].width
    headers = plotly.io.defaults.headers
    yield
    plotly.io.renderers.default, plotly.io.renderers["png"].width = before
    plotly.io.defaults.headers = headers
    kaleido.stop_sync_server(silence_warnings=True)


def test_without_a_browser_figures_are_live_and_a_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "no-browser"))
    keep_pictures()
    assert plotly.io.renderers.default == "plotly_mimetype"
    assert capsys.readouterr().err.startswith("figures are live alone: pictures need Chrome")


@pytest.mark.browser
@needs_chromium
def test_a_browser_draws_them(capsys: pytest.CaptureFixture[str]) -> None:
    keep_pictures()
    assert plotly.io.renderers.default == "plotly_mimetype+png"
    bundle = plotly.io.renderers["png"].to_mimebundle(go.Figure(layout={"height": 200}).to_dict())
    assert bundle["image/png"].startswith("iVBORw0KGgo")
    assert capsys.readouterr().err == ""

"""Figures into files: HTML fragments for a page that holds plotly.js once, HTML, and pictures.

    fragment = html_fragment(figure, name="pareto", alternative=pareto.describe())
    write_html(Path("pareto.html"), figure, alternative=pareto.describe())
    write_pictures({Path("pareto.png"): figure, Path("pareto.svg"): figure})

A fragment holds no script of its own but the call that draws it. This file must not know what a
figure shows.
"""

from __future__ import annotations

import html
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import plotly.io
import plotly.offline

from merit_interp.errors import SettingError
from merit_interp.plots.shown_text import legible
from merit_interp.plots.style import readable_pixels, untitled
from merit_interp.record_files import write_whole

PICTURE_WIDTH = 900
"""Width of a picture in layout pixels; a PNG has twice as many."""
PICTURES = {"png": 2, "svg": 1, "pdf": 1}
"""Formats that a browser draws, by their file's suffix, with their scale."""
CONFIG = {"displayModeBar": False, "responsive": True, "displaylogo": False}


def plotly_script() -> str:
    """plotly.js itself, to be put once into a page inside a script element (4.8 MB)."""
    return str(plotly.offline.get_plotlyjs())


def html_fragment(figure: go.Figure, *, name: str, alternative: str) -> str:
    """A figure as a piece of HTML, without its title and as wide as its place.

    One that cannot be read in a narrow place scrolls there, by finger, wheel or keyboard.

    Args:
        figure: The figure; not changed.
        name: The id of the figure in its page.
        alternative: What the figure shows, in words, for those who cannot see it.
    """
    drawn = plotly.io.to_html(
        untitled(figure), full_html=False, include_plotlyjs=False, div_id=name, config=CONFIG
    )
    least = readable_pixels(figure)
    width = f' style="min-width:{least}px"' if least else ""
    words = html.escape(alternative)
    plot = f'<div class="plot" role="img" aria-label="{words}"{width}>{drawn}</div>'
    if not least:
        return plot
    title = html.escape(html.unescape(figure.layout.title.text or "Figure"))
    return f'<div class="wide" tabindex="0" role="group" aria-label="{title}">{plot}</div>'


SCRIPT = "plotly.min.js"
"""plotly.js beside the HTML files that share it."""

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title><script src="{script}"></script></head>
<body>{plot}</body>
</html>
"""


def write_html(path: Path, figure: go.Figure, *, alternative: str) -> None:
    """Write a figure as an HTML file that needs nothing but plotly.js, which is put beside it.

    Args:
        path: The file; its stem is the figure's id.
        figure: The figure.
        alternative: What the figure shows, in words, for those who cannot see it.

    Raises:
        RunError: A file cannot be written.
    """
    script = path.with_name(SCRIPT)
    if not script.exists():
        write_whole(script, plotly_script().encode())
    drawn = plotly.io.to_html(
        figure, full_html=False, include_plotlyjs=False, div_id=path.stem, config=CONFIG
    )
    plot = f'<div role="img" aria-label="{html.escape(alternative)}">{drawn}</div>'
    # the title is escaped already, since plotly reads markup in it
    page = _PAGE.format(title=figure.layout.title.text, script=SCRIPT, plot=plot)
    write_whole(path, page.encode())


def write_pictures(figures: Mapping[Path, go.Figure], *, width: int = PICTURE_WIDTH) -> None:
    """Write figures as PNG, SVG or PDF through Chrome or Chromium, all with one start of it.

    Args:
        figures: The figure of each file; its suffix is a format of `PICTURES`.
        width: In layout pixels.

    Raises:
        SettingError: There is no Chrome or Chromium, or it does not start.
        RunError: A file cannot be written.
    """
    # starts threads and reads the environment, so only where it is used
    import kaleido
    from choreographer.errors import BrowserDepsError
    from kaleido.errors import BrowserClosedError, BrowserFailedError, ChromeNotFoundError

    with tempfile.TemporaryDirectory() as directory:
        drawn = {path: Path(directory) / f"{n}{path.suffix}" for n, path in enumerate(figures)}
        wanted = [
            {
                "fig": _legible(figure.to_dict()),
                "path": str(drawn[path]),
                "opts": {
                    "format": path.suffix[1:], "width": width, "height": figure.layout.height,
                    "scale": PICTURES[path.suffix[1:]],
                },
            }
            for path, figure in figures.items()
        ]  # fmt: skip
        try:
            # no MathJax: it would be asked from the network
            kaleido.write_fig_from_object_sync(wanted, kopts={"mathjax": False})
        except (ChromeNotFoundError, BrowserDepsError, BrowserClosedError, BrowserFailedError):
            raise SettingError(
                "pictures need Chrome or Chromium, and none was found that starts",
                valid="`apt-get install chromium`, BROWSER_PATH set to one, or the HTML report",
            ) from None
        for path, picture in drawn.items():
            write_whole(path, picture.read_bytes())


def _legible(value: Any) -> Any:
    """A figure's description without characters that end a picture, as SVG has no place for them.

    Names of items, options and kinds of question come from others, and from models' own texts.
    """
    if isinstance(value, str):
        return legible(value)
    if isinstance(value, dict):
        return {key: _legible(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_legible(part) for part in value]
    return value

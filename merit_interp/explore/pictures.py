"""Figures in a notebook: live, and as pictures for whoever reads it where nothing runs.

    keep_pictures()

One browser draws all pictures of a kernel, since each start takes seconds. This file must not know
what a figure shows.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import plotly.graph_objects as go
import plotly.io

from merit_interp.errors import SettingError
from merit_interp.plots.files import PICTURE_WIDTH, write_pictures

LIVE, WITH_PICTURES = "plotly_mimetype", "plotly_mimetype+png"


def keep_pictures() -> None:
    """Show plotly figures live and, where a browser is, keep a PNG of each in the notebook."""
    # starts threads, so only where it is used
    import kaleido

    plotly.io.renderers.default = LIVE
    try:
        # kaleido's server would wait for ever for a browser that does not start
        with tempfile.TemporaryDirectory() as scratch:
            write_pictures({Path(scratch, "empty.png"): go.Figure(layout={"height": 100})})
    except SettingError as error:
        print(f"figures are live alone: {error}", file=sys.stderr)
        return
    # no MathJax: it would be asked from the network
    kaleido.start_sync_server(mathjax=False, silence_warnings=True)
    # of headers for maps, which plotly hands on with each figure, the server warns each time
    plotly.io.defaults.headers = None
    plotly.io.renderers["png"].width = PICTURE_WIDTH
    plotly.io.renderers.default = WITH_PICTURES

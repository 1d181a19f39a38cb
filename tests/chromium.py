"""Chromium for tests that look at a page: where it is, and what a page is like inside it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

EXECUTABLE = shutil.which("chromium") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(
    EXECUTABLE is None, reason="needs chromium: `apt-get install chromium`"
)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
    "--allow-file-access-from-files", "--virtual-time-budget=6000",
)  # fmt: skip


MEASURE = """
  const measured = (page) => {
    const root = page.documentElement;
    const drawn = Array.from(page.querySelectorAll(".plot .main-svg:first-child"));
    const edge = (svg) => svg.closest(".plot").getBoundingClientRect().right + 1;
    return {
      scroll_width: root.scrollWidth, client_width: root.clientWidth,
      figures: page.querySelectorAll(".plot").length, drawn: drawn.length,
      wide: drawn.filter((svg) => svg.getBoundingClientRect().right > edge(svg)).length,
    };
  };
  addEventListener("load", () => setTimeout(() => {
    const frames = Array.from(document.querySelectorAll("iframe"));
    document.title = JSON.stringify(frames.map((frame) => measured(frame.contentDocument)));
  }, 1000));
"""


def measured_at_widths(page: Path, widths: Sequence[int], scratch: Path) -> list[dict[str, int]]:
    """Open a page in frames of some widths and count what each shows.

    Frames, since Chromium's own window has no less than 500 pixels. Returns for each `scroll_width`
    and `client_width` of the page, `figures`, those of them that are `drawn`, and how many are
    `wide`: beyond the edge of their place.
    """
    frames = "".join(
        f'<iframe src="{page.resolve().as_uri()}" style="width:{width}px;height:3000px"></iframe>'
        for width in widths
    )
    outer = scratch / "frames.html"
    outer.write_text(f"<title></title>{frames}<script>{MEASURE}</script>")
    assert EXECUTABLE is not None
    profile = f"--user-data-dir={scratch / 'profile'}"
    shown = subprocess.run(
        [EXECUTABLE, *FLAGS, profile, "--dump-dom", outer.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip
    title = re.search(r"<title>(.*?)</title>", shown)
    assert title is not None
    measured: list[dict[str, int]] = json.loads(html.unescape(title[1]))
    return measured

"""Chromium for tests that look at a page: where it is, and what a page is like inside it."""

from __future__ import annotations

import re
import shutil
import subprocess
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


def measured_at_width(page: Path, width: int, scratch: Path) -> dict[str, int]:
    """Open a page in a frame of some width and count what it shows.

    A frame, since Chromium's own window has no less than 500 pixels. Returns `scroll_width` and
    `client_width` of the page, `figures`, those of them that are `drawn`, and how many are `wide`:
    beyond the edge of the window.
    """
    measure = """
      const page = document.querySelector("iframe").contentDocument;
      const root = page.documentElement;
      const drawn = Array.from(page.querySelectorAll(".plot .main-svg:first-child"));
      const edge = root.clientWidth + 1;
      const counts = {
        scroll_width: root.scrollWidth, client_width: root.clientWidth,
        figures: page.querySelectorAll(".plot").length, drawn: drawn.length,
        wide: drawn.filter((svg) => svg.getBoundingClientRect().right > edge).length,
      };
      document.title = Object.entries(counts).map((entry) => entry.join("=")).join(" ");
    """
    frame = scratch / f"frame-{width}.html"
    frame.write_text(
        f'<title></title><iframe src="{page.resolve().as_uri()}" '
        f'style="width:{width}px;height:3000px;border:0"></iframe>'
        f"<script>addEventListener('load', () => setTimeout(() => {{{measure}}}, 1000))</script>"
    )
    assert EXECUTABLE is not None
    profile = f"--user-data-dir={scratch / f'profile-{width}'}"
    shown = subprocess.run(
        [EXECUTABLE, *FLAGS, profile, "--dump-dom", frame.as_uri()],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    title = re.search(r"<title>(.*?)</title>", shown)
    assert title is not None
    return {name: int(value) for name, value in (p.split("=") for p in title[1].split())}

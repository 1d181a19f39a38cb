"""The pictures of README.md, from the demo's run: PNG with a palette, a few tens of KB each.

    python figures/gallery.py      # makes what the demo's run lacks first, in minutes

MERIT_INTERP_RUN names another run, --out another place.
"""

import argparse
import tempfile
from pathlib import Path

from PIL import Image

import merit_interp as mi
from merit_interp.cli.main import one_line_errors
from merit_interp.plots.files import write_pictures

HERE = Path(__file__).parent
FIGURES = {
    "skills": "skills",
    "recipe": "recipe",
    "mask-layers": "mask-layers",
    "frames-shift": "attribution-shift",
    "video-controls": "video-controls-0",
}
"""Name in README and name in the run."""
ITEM, PLACE = "frames-item", 1
"""Name in README of one item's frames, and its place among the typical items, two of a kind: the
second that merging turned right, since beside the first one's VLM the merged scores are faint."""


def with_palette(picture: Image.Image) -> Image.Image:
    """The picture in 256 colours, chosen so that rare ones keep theirs: frames are small."""
    return picture.convert("RGB").quantize(
        256, method=Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE
    )


def main() -> None:
    """Draw, then store with a palette."""
    parser = argparse.ArgumentParser(description="Draw the pictures of README.md.")
    parser.add_argument("--out", type=Path, default=HERE)
    out = parser.parse_args().out
    with one_line_errors(), tempfile.TemporaryDirectory() as scratch:
        made = mi.demo_run(HERE.parent / "runs/demo", parts=("mask", "attribute", "controls"))
        # the demo's controls are a run of their own below it; what both have is the demo's
        runs = [mi.open_run(path) for path in (made / "controls", made) if path.is_dir()]
        figures = {n: r.figure(f) for r in runs for n, f in FIGURES.items() if f in r.figures}
        figures[ITEM] = runs[-1].item_figure(runs[-1].examples(each=2)[PLACE].item).figure
        drawn = {Path(scratch, f"{name}.png"): figure for name, figure in figures.items()}
        write_pictures(drawn)
        out.mkdir(parents=True, exist_ok=True)
        for path in drawn:
            with_palette(Image.open(path)).save(out / path.name, optimize=True)
            print(out / path.name)


if __name__ == "__main__":
    main()

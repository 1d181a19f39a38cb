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
}
"""Name in README and name in the run."""
CONTROLS = "video-controls"
"""Name in README of what the video controls show, a run of its own below the demo's."""
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=HERE)
    out = parser.parse_args().out
    with one_line_errors(), tempfile.TemporaryDirectory() as scratch:
        made = mi.demo_run(HERE.parent / "runs/demo", parts=("mask", "attribute", "controls"))
        run = mi.open_run(made)
        figures = {name: run.figure(own) for name, own in FIGURES.items()}
        figures[CONTROLS] = mi.open_run(made / "controls").figure("video-controls-0")
        figures[ITEM] = run.item_figure(run.examples(each=2)[PLACE].item).figure
        drawn = {Path(scratch, f"{name}.png"): figure for name, figure in figures.items()}
        write_pictures(drawn)
        out.mkdir(parents=True, exist_ok=True)
        for path in drawn:
            with_palette(Image.open(path)).save(out / path.name, optimize=True)
            print(out / path.name)


if __name__ == "__main__":
    main()

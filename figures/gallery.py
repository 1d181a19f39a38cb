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
ITEM = "frames-item"
"""Name in README of the first typical item: one that merging turned right, if there is any."""
COLOURS = 64


def main() -> None:
    """Draw, then store with a palette."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=HERE)
    out = parser.parse_args().out
    with one_line_errors(), tempfile.TemporaryDirectory() as scratch:
        run = mi.open_run(mi.demo_run(HERE.parent / "runs/demo", parts=("mask", "attribute")))
        figures = {name: run.figure(own) for name, own in FIGURES.items()}
        figures[ITEM] = run.item_figure(run.example_items[0]).figure
        drawn = {Path(scratch, f"{name}.png"): figure for name, figure in figures.items()}
        write_pictures(drawn)
        out.mkdir(parents=True, exist_ok=True)
        for path in drawn:
            picture = Image.open(path).convert("RGB")
            picture.quantize(COLOURS, dither=Image.Dither.NONE).save(out / path.name, optimize=True)
            print(out / path.name)


if __name__ == "__main__":
    main()

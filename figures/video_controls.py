"""Accuracy under each video control beside that on the video, with intervals.

python figures/video_controls.py RUN --out DIR    # a run of `evaluate --video-control black,...`
"""

from collections.abc import Iterator

from merit_interp.cli.figure_scripts import figure_script
from merit_interp.errors import RunError
from merit_interp.explore.run import Run
from merit_interp.report.figures import NamedFigure


def figures(run: Run) -> Iterator[NamedFigure]:
    """One figure for each item set that was shown under controls.

    Raises:
        RunError: None was.
    """
    names = [name for name in run.figures if name.startswith("video-controls-")]
    if not names:
        raise RunError(
            f"{run.directory} has no video controls",
            valid="what `merit-interp evaluate --video-control` wrote",
        )
    yield from map(run.named_figure, names)


if __name__ == "__main__":
    figure_script(__doc__, lambda run, given: figures(run))

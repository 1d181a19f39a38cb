"""Every figure that a run has records for, or those that are named.

python figures/every_figure.py runs/demo --out DIR --names pareto,mask-sets
"""

from merit_interp.cli.figure_scripts import figure_script

NAMES = "names of figures with commas between, as in the report's files; without it, all of them"


def main() -> None:
    """Draw all figures of the run, or the named ones in the order of their names."""
    figure_script(
        __doc__,
        lambda run, given: map(
            run.named_figure,
            given.names.replace(" ", "").split(",") if given.names else run.figures,
        ),
        names=NAMES,
    )


if __name__ == "__main__":
    main()

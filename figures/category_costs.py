"""What zeroing each layer alone costs each category of question, in one model.

python figures/category_costs.py runs/demo --out DIR --model vlm
"""

from merit_interp.cli.figure_scripts import figure_script
from merit_interp.explore.figures import category_figure

MODEL = "a model that was masked, as vlm; without it, the one that the verdict is on"


def main() -> None:
    """Draw the map of one model."""
    figure_script(
        __doc__,
        lambda run, given: [
            category_figure(run.masking, given.model)
            if given.model
            else run.named_figure("mask-categories")
        ],
        model=MODEL,
    )


if __name__ == "__main__":
    main()

"""Heads of the recipe's layers: attention, change, cost of masking, direct part of the margin.

python figures/head_map.py runs/demo --out DIR
"""

from merit_interp.cli.figure_scripts import figure_script

COSTS = "lens-costs"
"""The heads that cost most, with their intervals."""

if __name__ == "__main__":
    figure_script(
        __doc__,
        lambda run, given: [
            f for f in run.figures_of("lens") if "head" in f.name or f.name == COSTS
        ],
    )

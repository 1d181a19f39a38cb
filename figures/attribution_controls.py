"""Attribution on the evidence in every model, control, method and measure, with intervals.

python figures/attribution_controls.py runs/demo --out DIR
"""

from merit_interp.cli.figure_scripts import figure_script

NAMES = ("attribution-controls", "attribution-measures")

if __name__ == "__main__":
    figure_script(
        __doc__, lambda run, given: [f for f in run.figures_of("attribute") if f.name in NAMES]
    )

"""What zeroing each layer alone costs each skill, with intervals.

python figures/layer_importance.py runs/demo --out DIR
"""

from merit_interp.cli.figure_scripts import figure_script

if __name__ == "__main__":
    figure_script(__doc__, lambda run, given: [run.named_figure("mask-layers")])

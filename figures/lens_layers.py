"""Layers read by the lens: the logit lens, attention by layer, and the direct parts of the margin.

python figures/lens_layers.py runs/demo --out DIR
"""

from merit_interp.cli.figure_scripts import figure_script

NAMES = ("lens-layers", "lens-attention", "lens-direct")

if __name__ == "__main__":
    figure_script(
        __doc__, lambda run, given: [f for f in run.figures_of("lens") if f.name in NAMES]
    )

"""Attribution on the evidence before and after merging, item by item.

python figures/evidence_shift.py runs/demo --out DIR
"""

from merit_interp.cli.figure_scripts import figure_script

if __name__ == "__main__":
    figure_script(__doc__, lambda run, given: [run.named_figure("attribution-shift")])

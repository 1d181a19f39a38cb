"""The recipe's layers masked together, held against every other set of as many layers.

python figures/chosen_against_random.py runs/demo --out DIR
"""

from merit_interp.cli.figure_scripts import figure_script

if __name__ == "__main__":
    figure_script(__doc__, lambda run, given: [run.named_figure("mask-sets")])

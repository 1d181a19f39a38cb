"""The search: every recipe that was tried, the objective trial by trial, and the Pareto front.

python figures/search.py runs/demo --out DIR
"""

from merit_interp.cli.figure_scripts import figure_script

NAMES = ("search-landscape", "search-history", "pareto")

if __name__ == "__main__":
    figure_script(__doc__, lambda run, given: map(run.named_figure, NAMES))

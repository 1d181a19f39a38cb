"""TR and TP of every model on every item set, with intervals: as a table and as marks.

python figures/skills.py runs/demo --out DIR
"""

from merit_interp.cli.figure_scripts import figure_script

if __name__ == "__main__":
    figure_script(__doc__, lambda run, given: map(run.named_figure, ("skills-table", "skills")))

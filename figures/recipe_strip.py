"""The recipe: how much of the backbone each layer has.

python figures/recipe_strip.py runs/demo --out DIR
"""

from merit_interp.cli.figure_scripts import figure_script

if __name__ == "__main__":
    figure_script(__doc__, lambda run, given: [run.named_figure("recipe")])

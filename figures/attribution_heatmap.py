"""How much each frame decides: one item's frames before and after merging, and all items at once.

python figures/attribution_heatmap.py runs/demo --out DIR --item ID
"""

from merit_interp.cli.figure_scripts import figure_script

ITEM = "id of an attributed item; without it, items that are typical of what merging did"


def main() -> None:
    """Draw the items that were asked for, else typical ones, and the overview."""
    figure_script(
        __doc__,
        lambda run, given: [
            run.named_figure("attribution-overview"),
            *map(run.item_figure, [given.item] if given.item else run.example_items),
        ],
        item=ITEM,
    )


if __name__ == "__main__":
    main()

"""A recipe as a picture: how much of the backbone's attention each layer takes.

    figure = draw_recipe_strip(recipe_strip(recipe, n_layers=28))

One bar a layer; where a layer's projections differ, one row a projection instead. This file must
not know how the recipe was found.
"""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from merit_interp.plots.cells import CellText, scale_colour, write_cells
from merit_interp.plots.style import FAINT, GREY, REASONING, SEQUENTIAL, TITLE_PIXELS, styled
from merit_interp.recipe import Recipe
from merit_interp.tables.number_text import number_text

MOST_LABELLED_LAYERS = 16
"""With more layers the numbers on the bars would touch on a phone."""

WHAT_IS_MERGED = {
    "self_attention": "self-attention",
    "text": "all weights",
    "pattern": "weights that a pattern names",
}
"""`Recipe.weights` in a title."""


@dataclass(frozen=True)
class RecipeStrip:
    """Coefficients of every text layer, from the first to the last."""

    projections: tuple[str, ...]
    coefficients: tuple[tuple[float, ...], ...]
    """(projections, layers) share of the backbone in [0, 1]; 0 where a layer stays the VLM's."""
    weights: str
    """What is merged of a layer: a name in `WHAT_IS_MERGED`."""
    is_whole: bool = True
    """Whether these are all layers of the model; else those up to the last merged one."""

    @property
    def n_layers(self) -> int:
        """Text layers of the model."""
        return len(self.coefficients[0])

    @property
    def is_one_share_per_layer(self) -> bool:
        """Whether all projections of each layer have one coefficient."""
        return len(set(self.coefficients)) == 1

    @property
    def merged(self) -> tuple[int, ...]:
        """The layers that are merged."""
        rows = self.coefficients
        return tuple(layer for layer in range(self.n_layers) if any(row[layer] for row in rows))

    def describe(self) -> str:
        """The figure in words."""
        if not self.merged:
            return "No layer is merged: the recipe is the VLM itself."
        shares = ", ".join(self._share_of(layer) for layer in self.merged)
        count = f"{len(self.merged)} of {self.n_layers}" if self.is_whole else len(self.merged)
        return f"Merged text layers: {count} ({shares})."

    def _share_of(self, layer: int) -> str:
        if self.is_one_share_per_layer:
            return f"layer {layer} by {self.coefficients[0][layer]:.2f}"
        shares = zip(self.projections, self.coefficients, strict=True)
        listed = " ".join(f"{name} {row[layer]:.2f}" for name, row in shares)
        return f"layer {layer} by {listed}"


def recipe_strip(recipe: Recipe, *, n_layers: int | None) -> RecipeStrip:
    """The coefficients of a recipe.

    Args:
        recipe: The recipe.
        n_layers: Text layers of the model; None where that is not known.
    """
    shown = max(recipe.layers, default=0) + 1 if n_layers is None else n_layers
    return RecipeStrip(
        projections=recipe.projections,
        coefficients=tuple(
            tuple(recipe.coefficient(layer, projection) for layer in range(shown))
            for projection in recipe.projections
        ),
        weights=recipe.weights,
        is_whole=n_layers is not None,
    )


def draw_recipe_strip(strip: RecipeStrip) -> go.Figure:
    """Layer against coefficient."""
    layers = list(range(strip.n_layers))
    what = WHAT_IS_MERGED[strip.weights]
    title = f"Recipe: share of the backbone's {what} in each layer"
    if strip.is_one_share_per_layer:
        figure = styled(_bars(strip, layers), title=title, height=280)
        figure.update_yaxes(title_text="Coefficient a", range=[0, 1.16], tickvals=[0, 0.5, 1])
    else:
        height = 130 + 34 * len(strip.projections)
        figure = styled(_tiles(strip, layers), title=title, height=height)
        figure.update_layout(margin_t=TITLE_PIXELS + 10)
        figure.update_yaxes(title_text="Projection", showgrid=False)
        figure.update_xaxes(showgrid=False)
    figure.update_layout(bargap=0.25)
    step = 1 if strip.n_layers <= MOST_LABELLED_LAYERS else 4
    figure.update_xaxes(
        title_text="Text layer, counted from 0" + ("" if strip.is_whole else "; later ones as is"),
        range=[-0.6, strip.n_layers - 0.4],
        tickmode="linear", tick0=0, dtick=step, showgrid=False,
    )  # fmt: skip
    if not strip.merged:
        figure.add_annotation(
            x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False,
            text="No layer is merged", font={"color": GREY, "size": 15},
        )  # fmt: skip
    return figure


def _bars(strip: RecipeStrip, layers: list[int]) -> go.Figure:
    shares = strip.coefficients[0]
    numbers = strip.n_layers <= MOST_LABELLED_LAYERS
    figure = go.Figure()
    # the whole of each layer behind its share, so that a layer left alone is seen to be there
    figure.add_bar(
        x=layers, y=[1] * len(layers), name="The VLM's own", marker={"color": FAINT},
        hoverinfo="skip",
    )  # fmt: skip
    figure.add_bar(
        x=layers, y=shares, name="From the backbone", marker={"color": REASONING.colour},
        text=[f"{share:.2f}" if share and numbers else "" for share in shares],
        textposition="outside", cliponaxis=False, textangle=0, constraintext="none",
        hovertemplate="layer %{x}: %{y:.3f}<extra></extra>",
    )  # fmt: skip
    figure.update_layout(barmode="overlay")
    return figure


def _tiles(strip: RecipeStrip, layers: list[int]) -> go.Figure:
    figure = make_subplots(rows=1, cols=1)
    figure.add_heatmap(
        x=layers, y=list(strip.projections), z=strip.coefficients, zmin=0, zmax=1,
        colorscale=[list(stop) for stop in SEQUENTIAL], xgap=2, ygap=2,
        colorbar={"thickness": 10, "tickvals": [0, 0.5, 1], "outlinewidth": 0},
        hovertemplate="layer %{x}, %{y}: %{z:.3f}<extra></extra>",
    )  # fmt: skip
    if strip.n_layers <= MOST_LABELLED_LAYERS:
        cells = [
            CellText(layer, name, number_text(share, 2), scale_colour(SEQUENTIAL, share))
            for name, row in zip(strip.projections, strip.coefficients, strict=True)
            for layer, share in zip(layers, row, strict=True)
            if share
        ]
        write_cells(figure, cells)
    # the texts would widen the range
    return figure.update_yaxes(range=[len(strip.projections) - 0.5, -0.5], type="category")

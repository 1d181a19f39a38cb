"""What layers and heads do with an answer: logit lens, attention, heads, direct attribution.

from merit_interp.lens.recipe_lens import lens_recipe

This room takes a recipe and items; it must not know how a recipe was found or how readings are
tabulated.
"""

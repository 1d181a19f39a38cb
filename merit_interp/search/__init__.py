"""Finds the recipe: which layers of the backbone to merge back, and how much of each.

from merit_interp.search.command import find_recipe

Search calls merging and scoring and writes a recipe; it must not know what is later done with one.
Loading this package loads no torch.
"""

"""Which layers' self-attention an answer needs: one intervention, its modes, the sweep over layers.

from merit_interp.masking.layer_sets import plan_sweep

This room takes a recipe and an evaluation; it must not know how a recipe was found or how effects
are tabulated.
"""

"""Frames become plotly figures, all with one look.

from merit_interp.plots.pareto import draw_pareto, pareto

Each figure is two functions joined by a small typed value: one takes numbers from a frame, the
other draws them. This room must not know where a frame came from or where a figure goes, and loads
no torch.
"""

"""Records become tidy pandas frames: one row an item, a trial, or a model and skill.

from merit_interp.tables.item_frames import item_scores
from merit_interp.tables.skills import skill_table

This room must not know how a record came about or how a frame is drawn, and loads no torch.
"""

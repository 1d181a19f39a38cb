"""What an analyst opens: a finished run as data frames, figures and words.

import merit_interp as mi
run = mi.open_run("runs/demo")

This room joins what tables, plots and report make of records; it must not compute a number, and
loads no torch.
"""

"""Intervals and tests on items that come in clusters: the questions on one video.

from merit_interp.statistics.intervals import clustered_share

This room knows numbers and cluster names; it must not know records, models or files, and loads no
torch.
"""

"""Merging: methods on plain tensors, a merge in memory that is undone, and one on disk.

    from merit_interp.merging.in_memory import InMemoryMerge

Importing this room loads no torch. It must not know how a recipe was found or what it scores.
"""

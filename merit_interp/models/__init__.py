"""Checkpoints: the family table, files on disk, fingerprints, loading, and whether two pair.

    from merit_interp.models.loading import load_vlm

Importing this room loads neither torch nor transformers. It must not know items, scores or merges.
"""

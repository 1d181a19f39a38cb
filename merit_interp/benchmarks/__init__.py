"""Benchmark items and their videos: reading, checking, decoding, splitting."""

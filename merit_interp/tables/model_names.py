"""Names of models in a run: in which order they are listed, and what a reader is shown.

    model_label("uniform_attention_0.5")    # "Uniform attention 0.5"

The names are those of `ItemScore.model`. This file must not know what a model scored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

VLM = "vlm"
MERGED = "merged"
RANDOM_LAYERS = "random_layers"
"""The mean over all draws `random_layers_00`, `random_layers_01`, ..."""
BACKBONE = "backbone_transcripts"

_ORDER = (
    (re.compile(r"vlm"), "VLM"),
    (re.compile(r"merged"), "Merged"),
    (re.compile(r"uniform_attention_(\S+)"), "Uniform attention {}"),
    (re.compile(r"uniform_text_(\S+)"), "Uniform text {}"),
    (re.compile(r"method_(\S+)"), "Method {}"),
    (re.compile(r"first_k"), "First layers"),
    (re.compile(r"last_k"), "Last layers"),
    (re.compile(r"random_layers"), "Random layers"),
    (re.compile(r"random_layers_(\d+)"), "Random layers, draw {}"),
    (re.compile(r"(.*)"), "{}"),
    (re.compile(r"backbone_transcripts"), "Backbone on text"),
)
"""Patterns in listing order with their label; the last but one takes every other name."""
_ANYTHING_ELSE = len(_ORDER) - 2


def model_label(name: str) -> str:
    """What a reader is shown for a model's name."""
    label, match = _ORDER[_rank(name)][1], _ORDER[_rank(name)][0].fullmatch(name)
    parts = match.groups() if match else (name,)
    return label.format(*(part.replace("_", " ") for part in parts))


def is_random_draw(name: str) -> bool:
    """Whether the model is one draw of random layers."""
    return re.fullmatch(r"random_layers_\d+", name) is not None


def in_listing_order(names: Iterable[str]) -> list[str]:
    """Names once each, as in `_ORDER`: VLM, merged, baselines, others, backbone."""
    return sorted(dict.fromkeys(names), key=lambda name: (_rank(name), name))


def _rank(name: str) -> int:
    for rank, (pattern, _) in enumerate(_ORDER):
        if rank != _ANYTHING_ELSE and pattern.fullmatch(name):
            return rank
    return _ANYTHING_ELSE

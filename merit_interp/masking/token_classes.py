"""What each token of a batch is: the video's, text, the one that the answer is read from, padding.

    classes = token_classes(evaluation, batch)
    where = tokens_at(classes, "visual")

This file must not know what is done to the tokens.
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from merit_interp.scoring.batches import Batch
from merit_interp.scoring.evaluation import Evaluation
from merit_interp.tensor_shapes import TokenMask

PADDING, TEXT, VISUAL, LAST = range(4)
N_CLASSES = 4

TokenClasses = Int[Tensor, "batch seq"]
"""One of `PADDING`, `TEXT`, `VISUAL` and `LAST` for each token."""

_MEMBERS = {
    "all": (TEXT, VISUAL, LAST),
    "visual": (VISUAL,),
    "text": (TEXT, LAST),
    "last": (LAST,),
}


def token_classes(evaluation: Evaluation, batch: Batch) -> TokenClasses:
    """The class of each token of a batch; an option's tokens after the prompt are text."""
    classes = torch.full(batch.input_ids.shape, PADDING)
    for row, (index, length) in enumerate(zip(batch.row_items, batch.lengths, strict=True)):
        encoded = evaluation.encoded[index]
        n_prompt = len(encoded.input_ids)
        classes[row, :length] = TEXT
        if encoded.frame_tokens is not None:
            visual = encoded.frame_tokens.visual_mask()[:n_prompt]
            classes[row, : len(visual)][visual] = VISUAL
        classes[row, n_prompt - 1] = LAST
    return classes.to(batch.input_ids.device)


def tokens_at(classes: TokenClasses, tokens: str) -> TokenMask:
    """Which tokens an edit with `settings.TOKENS` touches; never padding."""
    return torch.isin(classes, torch.tensor(_MEMBERS[tokens], device=classes.device))

"""What each token of a prompt is: the video's, the question's, how to answer, or anything else.

    kinds = token_kinds(evaluation, item=0)    # (tokens of the prompt,), indices into TOKEN_KINDS

A question is found in the prompt by its text, since a tokenizer may merge its ends with what stands
beside it. This file must not know models or attention.
"""

from __future__ import annotations

import unicodedata

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from merit_interp.errors import ItemError
from merit_interp.lens_records import TOKEN_KINDS
from merit_interp.scoring.encoding import question_text
from merit_interp.scoring.evaluation import Evaluation

VISUAL, TRANSCRIPT, QUESTION, ANSWER, OTHER = range(len(TOKEN_KINDS))

PromptKinds = Int[Tensor, "_"]
"""One of `TOKEN_KINDS`, by its place, for each token of a prompt."""

UNFINISHED = "\ufffd"
"""What a tokenizer writes for the first bytes of a character."""


def token_kinds(evaluation: Evaluation, item: int) -> PromptKinds:
    """The kind of each token of a prepared item's prompt.

    Args:
        evaluation: The prepared items.
        item: Which of them.

    Raises:
        ItemError: The question's text is not in the prompt.
    """
    encoded = evaluation.encoded[item]
    ids = encoded.input_ids
    kinds = torch.full(ids.shape, OTHER)
    is_text = torch.ones(ids.shape, dtype=torch.bool)
    if encoded.frame_tokens is not None:
        is_text = ~encoded.frame_tokens.visual_mask()
        kinds[~is_text] = VISUAL
    places = is_text.nonzero()[:, 0].tolist()
    tokenizer = evaluation.model.tokenizer
    text, ends = _written(tokenizer, [int(ids[place]) for place in places])
    asked = _plain(question_text(encoded.item, evaluation.scoring))
    # the last place, since a transcript stands before the question
    start = text.rfind(asked)
    if start < 0:
        raise ItemError(f"the question of {encoded.item.id} is not found in its prompt's tokens")
    end = start + len(_plain(encoded.item.question))
    transcript = "" if encoded.item.transcript is None else _plain(encoded.item.transcript)
    told = text.rfind(transcript, 0, start) if encoded.frame_tokens is None else -1
    before = 0
    for place, after in zip(places, ends, strict=True):
        if before < end and after > start:
            kinds[place] = QUESTION
        elif before >= end:
            kinds[place] = ANSWER
        elif told >= 0 and before < told + len(transcript) and after > told:
            kinds[place] = TRANSCRIPT
        before = after
    return kinds


def _written(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> tuple[str, list[int]]:
    """The plain text of a sequence of tokens, and how much of it each beginning has written."""
    text, ends = "", []
    for end in range(1, len(ids) + 1):
        text = _plain(str(tokenizer.decode(ids[:end], clean_up_tokenization_spaces=False)))
        ends.append(len(text))
    return text, ends


def _plain(text: str) -> str:
    """Letters alone: tokenizers differ in spaces, case and composed characters."""
    text = unicodedata.normalize("NFKC", text.rstrip(UNFINISHED)).casefold()
    return "".join(text.split())

"""Packs many questions on one clip into one sequence, each blind to the others.

    batch = pack_clips(clips, questions, codec, video=False, recitals=[DESCRIBE])

A question attends to the clip and to itself, and its positions go on from the clip's end, so that
what is trained is exactly the prompt of one question. It must not know models or looks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from merit_interp.microworld.tokenizer import (
    END_TOKEN,
    PAD_TOKEN,
    VIDEO_TOKEN,
    vocabulary,
)
from merit_interp.microworld.world import RECITALS, Clip, Question, transcript

IGNORED = -100
"""Label of a position that no loss is taken at."""


@dataclass(frozen=True)
class PackedBatch:
    """Sequences with their mask, positions and labels."""

    input_ids: torch.Tensor
    """(batch, length) int64."""
    attention_mask: torch.Tensor
    """(batch, 1, length, length) bool, True where attention is allowed."""
    position_ids: torch.Tensor
    """(batch, length) int64."""
    labels: torch.Tensor
    """(batch, length) int64, the token that is right after each position, or IGNORED."""
    answer_columns: tuple[tuple[int, ...], ...]
    """For each clip the column that predicts each of its questions' answers."""


class TokenCodec:
    """Token ids of texts, remembered, since the same questions come again and again."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, tuple[int, ...]] = {}
        ids = {token: i for i, token in enumerate(vocabulary())}
        self.video, self.end, self.pad = ids[VIDEO_TOKEN], ids[END_TOKEN], ids[PAD_TOKEN]

    def encode(self, text: str) -> tuple[int, ...]:
        """The ids of a text, as the saved tokenizer gives them."""
        if text not in self._known:
            self._known[text] = tuple(self._tokenizer.encode(text))
        return self._known[text]

    def clip(self, clip: Clip) -> tuple[int, ...]:
        """One id an event, then the end of the clip."""
        events = tuple(self.encode(event.text)[0] for event in clip)
        return (*events, self.encode(".")[0])

    def answer(self, text: str) -> int:
        """The one id of an answer or option."""
        (token,) = self.encode(text)
        return token


def pack_clips(
    clips: Sequence[Clip],
    questions: Sequence[Sequence[Question]],
    codec: TokenCodec,
    *,
    video: bool,
    recitals: Sequence[str],
    ends: int = 2,
) -> PackedBatch:
    """Packs clips of one length with their questions.

    Args:
        clips: Clips of equal length.
        questions: The questions of each clip.
        codec: Gives token ids.
        video: Whether video placeholders stand for the events (and for the end of the clip).
        recitals: Prompts under which each clip is also recited.
        ends: How many questions a clip also teach that an answer ends the text.
    """
    rows, columns = [], []
    for clip, asked in zip(clips, questions, strict=True):
        row, answers = _pack_one(clip, asked, codec, video=video, recitals=recitals, ends=ends)
        rows.append(row)
        columns.append(tuple(answers))
    width = max(len(row[0]) for row in rows)
    shape = (len(rows), width)
    ids = np.full(shape, codec.pad, np.int64)
    labels = np.full(shape, IGNORED, np.int64)
    blocks = np.full(shape, -1, np.int64)
    positions = np.zeros(shape, np.int64)
    for i, row in enumerate(rows):
        for target, values in zip((ids, labels, blocks, positions), row, strict=True):
            target[i, : len(values)] = values
    return PackedBatch(
        input_ids=torch.from_numpy(ids),
        attention_mask=torch.from_numpy(_block_mask(blocks)),
        position_ids=torch.from_numpy(positions),
        labels=torch.from_numpy(labels),
        answer_columns=tuple(columns),
    )


def _pack_one(
    clip: Clip,
    questions: Sequence[Question],
    codec: TokenCodec,
    *,
    video: bool,
    recitals: Sequence[str],
    ends: int,
) -> tuple[tuple[list[int], list[int], list[int], list[int]], list[int]]:
    """One sequence as (ids, labels, blocks, positions), and the answers' columns."""
    told = codec.clip(clip)
    ids = [codec.video] * len(told) if video else list(told)
    labels, blocks, positions = [IGNORED] * len(told), [0] * len(told), list(range(len(told)))

    def add(tokens: Sequence[int], targets: Sequence[int]) -> None:
        block = blocks[-1] + 1
        ids.extend(tokens)
        labels.extend(targets)
        blocks.extend([block] * len(tokens))
        positions.extend(range(len(told), len(told) + len(tokens)))

    answers = []
    for number, question in enumerate(questions):
        prompt, answer = codec.encode(question.text), codec.answer(question.answer)
        answers.append(len(ids) + len(prompt) - 1)
        blind = [IGNORED] * (len(prompt) - 1)
        if number < ends:
            add([*prompt, answer], [*blind, answer, codec.end])
        else:
            add(prompt, [*blind, answer])
    for prompt_text in recitals:
        said = [codec.answer(text) for text in (*RECITALS[prompt_text](clip), ".")]
        add([*codec.encode(prompt_text), *said], [*said, codec.end])
    return (ids, labels, blocks, positions), answers


def _block_mask(blocks: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(batch, 1, length, length): causal, within a block and from it to the clip (block 0)."""
    mine, theirs = blocks[:, :, None], blocks[:, None, :]
    length = blocks.shape[1]
    causal = np.tril(np.ones((length, length), np.bool_))
    allowed = causal & ((theirs == 0) | (theirs == mine)) & (theirs >= 0)
    # A padding row sees itself, or its softmax would be empty.
    allowed |= np.eye(length, dtype=np.bool_)
    mask: NDArray[np.bool_] = allowed[:, None]
    return mask


def text_of(clip: Clip, question: Question) -> str:
    """The text-only prompt of one question."""
    return f"{transcript(clip)} {question.text}"

"""Scores a model in training: share of questions whose right option is the likeliest.

    scores = score_stage(model, exam, codec)   # {"after": KindScore(correct=250, items=256)}

It must not know how training goes; it knows packed batches and nothing of optimisers.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from merit_interp.microworld.training_batches import PackedBatch, TokenCodec, pack_clips
from merit_interp.microworld.world import (
    QUESTION_KINDS,
    Clip,
    Question,
    Skill,
    ask_all,
    draw_clip,
    kinds_of,
)


@dataclass(frozen=True)
class KindScore:
    """How many questions of one kind were answered right."""

    correct: int
    items: int

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.correct / self.items


@dataclass(frozen=True)
class Exam:
    """Clips with their questions, and their frames where they are to be seen."""

    clips: tuple[Clip, ...]
    questions: tuple[tuple[Question, ...], ...]
    pixels: torch.Tensor | None = None
    """(clips, frames, 3, height, width) float32 in [-1, 1]; None: transcripts."""


def draw_exam(seed: int, clips: int, length: int = 8, repeats: int = 2) -> Exam:
    """Draws an exam with about `clips * repeats` questions of every kind."""
    rng = random.Random(f"exam {seed}")
    drawn = tuple(draw_clip(rng, length) for _ in range(clips))
    kinds = list(QUESTION_KINDS) * repeats
    return Exam(drawn, tuple(tuple(ask_all(clip, rng, kinds)) for clip in drawn))


def hidden_states(
    model: nn.Module, batch: PackedBatch, pixels: torch.Tensor | None
) -> torch.Tensor:
    """The text stack's last states, (batch, length, hidden), for a backbone or a VLM."""
    inputs: dict[str, Any] = {
        "input_ids": batch.input_ids,
        "attention_mask": batch.attention_mask,
        "position_ids": batch.position_ids,
        "use_cache": False,
    }
    if pixels is not None:
        inputs["pixel_values_videos"] = pixels
    inner: Any = model.model
    states: torch.Tensor = inner(**inputs).last_hidden_state
    return states


@torch.no_grad()
def score_stage(
    model: nn.Module, exam: Exam, codec: TokenCodec, batch_size: int = 64
) -> dict[str, KindScore]:
    """Scores every kind of the exam."""
    head: Any = model.lm_head
    right: dict[str, int] = {}
    asked: dict[str, int] = {}
    for start in range(0, len(exam.clips), batch_size):
        part = slice(start, start + batch_size)
        questions = exam.questions[part]
        pixels = None if exam.pixels is None else exam.pixels[part]
        batch = pack_clips(
            exam.clips[part], questions, codec, video=pixels is not None, recitals=(), ends=0
        )
        logits = head(hidden_states(model, batch, pixels))
        for row, (mine, columns) in enumerate(zip(questions, batch.answer_columns, strict=True)):
            for question, column in zip(mine, columns, strict=True):
                options = [codec.answer(option) for option in question.options]
                best = int(logits[row, column, options].argmax())
                asked[question.kind] = asked.get(question.kind, 0) + 1
                hit = best == question.answer_index
                right[question.kind] = right.get(question.kind, 0) + hit
    return {kind: KindScore(right[kind], asked[kind]) for kind in QUESTION_KINDS if kind in asked}


def skill_accuracy(scores: Mapping[str, KindScore], skill: Skill) -> float:
    """TR or TP: the share right over the base kinds of a skill, item by item."""
    kinds = [kind for kind in kinds_of(skill, "base") if kind in scores]
    return sum(scores[k].correct for k in kinds) / sum(scores[k].items for k in kinds)


def describe(scores: Mapping[str, KindScore]) -> str:
    """One line: TR, TP and every kind."""
    kinds: Sequence[str] = [f"{k} {s.accuracy:.2f}" for k, s in scores.items()]
    summary = (
        f"TR {skill_accuracy(scores, 'reasoning'):.3f} "
        f"TP {skill_accuracy(scores, 'perception'):.3f}"
    )
    return f"{summary} | {', '.join(kinds)}"

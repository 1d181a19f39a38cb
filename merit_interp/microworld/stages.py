"""What each training stage learns from: one loss a stage, drawn from (seed, stage, step) alone.

    loss = backbone_loss(backbone, codec, seed=0, batch=64)(step)

It must not know optimisers, checkpoints or files.
"""

import random
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional
from transformers import LlavaOnevisionForConditionalGeneration

from merit_interp.microworld.stage_scores import hidden_states
from merit_interp.microworld.tokenizer import vocabulary
from merit_interp.microworld.training_batches import (
    IGNORED,
    PackedBatch,
    TokenCodec,
    pack_clips,
)
from merit_interp.microworld.world import (
    EVENTS,
    QUESTION_KINDS,
    RECITALS,
    Clip,
    ask_all,
    draw_clip,
    kinds_of,
)

LENGTHS = (6, 7, 8, 9, 10)
"""Clip lengths in training, one a batch."""
QUESTIONS_PER_CLIP = 14
FRAMES_PER_TOWER_ROW = 8
PIXEL_NOISE = 0.02
"""Standard deviation of the noise on training pixels, on a scale of two."""
MATCH_SCALE = 20.0
"""Scale of the cosines in the tower's softmax over events."""
FIT_WEIGHT = 10.0
"""Weight of the squared distance between a frame's token and its word, against the match."""


def packed_loss(
    model: nn.Module, batch: PackedBatch, pixels: torch.Tensor | None = None
) -> torch.Tensor:
    """Cross entropy over every labelled position."""
    states = hidden_states(model, batch, pixels)
    chosen = batch.labels != IGNORED
    logits = model.lm_head(states[chosen])  # type: ignore[operator]
    return functional.cross_entropy(logits, batch.labels[chosen])


def backbone_loss(
    backbone: nn.Module, codec: TokenCodec, seed: int, batch: int
) -> Callable[[int], torch.Tensor]:
    """Transcripts with questions of every kind, and recitals."""
    kinds = list(QUESTION_KINDS)

    def loss_of(step: int) -> torch.Tensor:
        rng = random.Random(f"{seed} backbone {step}")
        length = rng.choice(LENGTHS)
        clips = [draw_clip(rng, length) for _ in range(batch)]
        asked = [ask_all(c, rng, rng.choices(kinds, k=QUESTIONS_PER_CLIP)) for c in clips]
        packed = pack_clips(clips, asked, codec, video=False, recitals=list(RECITALS))
        return packed_loss(backbone, packed)

    return loss_of


class LookBank:
    """Rendered looks of every event, from which training clips take their frames."""

    def __init__(self, frames: NDArray[np.uint8]) -> None:
        self._frames = torch.from_numpy(frames)
        self._places = {event: i for i, event in enumerate(EVENTS)}

    def pixels(self, clips: Sequence[Clip], rng: np.random.Generator) -> torch.Tensor:
        """(clips, frames, 3, 32, 32) near [-1, 1]: a random look an event, a little noise."""
        events = np.array([[self._places[event] for event in clip] for clip in clips])
        looks = rng.integers(self._frames.shape[1], size=events.shape)
        frames = self._frames[torch.from_numpy(events), torch.from_numpy(looks)]
        pixels = frames.permute(0, 1, 4, 2, 3).float() / 127.5 - 1.0
        noise = rng.normal(0.0, PIXEL_NOISE, size=tuple(pixels.shape)).astype(np.float32)
        return pixels + torch.from_numpy(noise)


def tower_loss(
    vlm: LlavaOnevisionForConditionalGeneration, bank: LookBank, seed: int, batch: int
) -> Callable[[int], torch.Tensor]:
    """Frames matched to the backbone's event embeddings, as CLIP does, and fitted to them.

    The fit matters as much as the match: with every frame nearest to its own word, but a third of
    its power off, the frozen backbone still answers at random.
    """
    names = [*(event.text for event in EVENTS), "."]
    tokens = torch.tensor([vocabulary().index(name) for name in names])
    told = vlm.model.language_model.embed_tokens.weight.detach()[tokens].clone()
    words, clip_end = told[:-1], told[-1]
    power = words.pow(2).sum(-1).mean()

    def loss_of(step: int) -> torch.Tensor:
        rng = np.random.default_rng([seed, 2, step])
        chosen = rng.integers(len(EVENTS), size=(batch, FRAMES_PER_TOWER_ROW))
        clips = [tuple(EVENTS[i] for i in row) for row in chosen]
        features = vlm.model.get_video_features(
            bank.pixels(clips, rng),
            vision_feature_layer=vlm.config.vision_feature_layer,
            vision_feature_select_strategy=vlm.config.vision_feature_select_strategy,
        ).pooler_output
        seen = features[:, :-1].reshape(-1, features.shape[-1])
        labels = torch.from_numpy(chosen.reshape(-1))
        cosines = functional.normalize(seen, dim=-1) @ functional.normalize(words, dim=-1).T
        match = functional.cross_entropy(MATCH_SCALE * cosines, labels)
        fit = (seen - words[labels]).pow(2).sum(-1).mean() / power
        end = (features[0, -1] - clip_end).pow(2).sum() / power
        loss: torch.Tensor = match + FIT_WEIGHT * fit + end
        return loss

    return loss_of


def perception_loss(
    vlm: LlavaOnevisionForConditionalGeneration,
    bank: LookBank,
    codec: TokenCodec,
    seed: int,
    batch: int,
    *,
    stage: str,
    recitals: Sequence[str],
) -> Callable[[int], torch.Tensor]:
    """Perception questions on clips of frames; a reasoning question never."""
    kinds = kinds_of("perception")

    def loss_of(step: int) -> torch.Tensor:
        rng = random.Random(f"{seed} {stage} {step}")
        length = rng.choice(LENGTHS)
        clips = [draw_clip(rng, length) for _ in range(batch)]
        asked = [ask_all(c, rng, rng.choices(kinds, k=QUESTIONS_PER_CLIP)) for c in clips]
        packed = pack_clips(clips, asked, codec, video=True, recitals=recitals)
        pixels = bank.pixels(clips, np.random.default_rng(rng.getrandbits(63)))
        return packed_loss(vlm, packed, pixels)

    return loss_of

"""An item as the tokens that a model reads and the tokens that its options are.

    encoded = encode_item(vlm, processor, item, video, Scoring(answers="letter"))
    encoded.input_ids, encoded.option_ids

A prompt ends where the answer begins, and an option is what the tokenizer makes of it there:
nothing is generated, nothing is parsed. This file must not know batches, caches or merges.
"""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from merit_interp.benchmarks.items import Item
from merit_interp.benchmarks.videos import Video
from merit_interp.errors import CheckpointError, ItemError
from merit_interp.models.loading import LoadedModel
from merit_interp.models.processors import Clip, VideoProcessor, adds_special_tokens
from merit_interp.recipe import Scoring
from merit_interp.scoring.frame_tokens import FrameTokenMap, map_frames
from merit_interp.tensor_shapes import PromptIds

LETTER_INSTRUCTION = "Answer with the option's letter from the given choices directly."
"""As lmms-eval asks (`videomme`, `mvbench`)."""


@dataclass(frozen=True, eq=False)
class EncodedItem:
    """One item, ready to be put into a batch."""

    item: Item
    input_ids: PromptIds
    """The prompt, its video's placeholder expanded."""
    option_ids: tuple[tuple[int, ...], ...]
    """Tokens of each option right after the prompt."""
    vision_inputs: Mapping[str, Tensor]
    """What the family's forward takes of the video, a batch of one, the pixels among them."""
    token_inputs: Mapping[str, PromptIds]
    """What else the family's forward takes for each token of the prompt."""
    frame_tokens: FrameTokenMap | None
    """Where the frames are in the prompt; None where there is no video."""

    def without(self, names: Sequence[str]) -> EncodedItem:
        """The same item without some of its vision inputs."""
        kept = {name: value for name, value in self.vision_inputs.items() if name not in names}
        return dataclasses.replace(self, vision_inputs=kept)


def question_text(item: Item, scoring: Scoring) -> str:
    """What the user asks: the question, and with letters the options and how to answer."""
    if scoring.answers == "option_text":
        return item.question
    options = [
        f"{letter}. {text}" for letter, text in zip(letters(item), item.options, strict=True)
    ]
    return "\n".join([item.question, *options, LETTER_INSTRUCTION])


def letters(item: Item) -> tuple[str, ...]:
    """The letter of each option.

    Raises:
        ItemError: There are more options than letters.
    """
    if len(item.options) > len(string.ascii_uppercase):
        raise ItemError(f"there are {len(item.options)} options", valid="at most 26")
    return tuple(string.ascii_uppercase[: len(item.options)])


def encode_item(
    vlm: LoadedModel, processor: VideoProcessor, item: Item, video: Video, scoring: Scoring
) -> EncodedItem:
    """An item on its video, as the family's own processor and chat template write it.

    Raises:
        ItemError: Its text cannot be asked or answered.
        CheckpointError: Letters are not distinct single tokens, or tokens and frames disagree.
    """
    question = question_text(item, scoring)
    for placeholder in processor.processor.all_special_multimodal_tokens:
        if placeholder in question:
            raise ItemError(f"the text holds the placeholder {placeholder!r}")
    prompt = processor.prompt(question)
    clip = Clip(video.indices, video.fps, video.n_source_frames, video.duration_s)
    inputs = processor.inputs(prompt, video.frames, clip)
    ids = inputs.pop("input_ids")[0]
    inputs.pop("attention_mask", None)
    visual_id = getattr(vlm.model.config, vlm.family.video_token_id)
    visual = torch.nonzero(ids == visual_id).flatten().tolist()
    merged, option_ids = _answers(processor.token_ids, prompt, item, scoring, vlm.source)
    kept = len(ids) - merged
    return EncodedItem(
        item=item,
        input_ids=ids[:kept],
        option_ids=option_ids,
        vision_inputs={name: inputs.pop(name) for name in vlm.family.video_inputs},
        token_inputs={name: value[0, :kept] for name, value in inputs.items()},
        frame_tokens=map_frames(visual, video.spans_s, vlm.family, n_prompt=kept),
    )


def encode_transcript(model: LoadedModel, item: Item, scoring: Scoring) -> EncodedItem:
    """An item on its transcript, for a model that reads.

    Raises:
        ItemError: The item has no transcript, or its text cannot be answered.
        CheckpointError: Letters are not distinct single tokens.
    """
    if item.transcript is None:
        raise ItemError("there is no transcript")
    tokenizer = model.tokenizer
    text = f"{item.transcript}\n{question_text(item, scoring)}"
    prompt = f"{text}\n"
    if tokenizer.chat_template:
        prompt = str(
            tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
            )
        )

    def token_ids(text: str) -> list[int]:
        added = adds_special_tokens(tokenizer, text)
        return list(tokenizer(text, add_special_tokens=added)["input_ids"])

    merged, option_ids = _answers(token_ids, prompt, item, scoring, model.source)
    ids = token_ids(prompt)
    return EncodedItem(
        item=item,
        input_ids=torch.tensor(ids[: len(ids) - merged]),
        option_ids=option_ids,
        vision_inputs={},
        token_inputs={},
        frame_tokens=None,
    )


def _answers(
    token_ids: Callable[[str], list[int]], prompt: str, item: Item, scoring: Scoring, source: str
) -> tuple[int, tuple[tuple[int, ...], ...]]:
    """How many of the prompt's last tokens belong to the answers, and the answers' tokens.

    A tokenizer may merge the prompt's end with an answer's beginning. All answers then start at
    the first token that any of them changes, so that each is scored after the same tokens.
    """
    answers = letters(item) if scoring.answers == "letter" else item.options
    alone = token_ids(prompt)
    together = [token_ids(prompt + answer) for answer in answers]
    shared = min(_n_shared(alone, ids) for ids in together)
    option_ids = tuple(tuple(ids[shared:]) for ids in together)
    for answer, ids in zip(answers, option_ids, strict=True):
        if not ids:
            raise ItemError(f"option {answer!r} is no token of {source}")
    if scoring.answers == "letter" and (
        any(len(ids) > 1 for ids in option_ids) or len(set(option_ids)) < len(option_ids)
    ):
        raise CheckpointError(
            f"letters are not distinct single tokens of {source}: "
            + ", ".join(f"{a} is {list(ids)}" for a, ids in zip(answers, option_ids, strict=True)),
            valid="answers as option_text",
        )
    return len(alone) - shared, option_ids


def _n_shared(first: Sequence[int], second: Sequence[int]) -> int:
    pairs = enumerate(zip(first, second, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(first), len(second)))

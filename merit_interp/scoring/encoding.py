"""An item as the tokens that a model reads and the tokens that its options are.

    encoded = encode_item(vlm, processor, item, video, Scoring(answers="letter"))
    encoded.input_ids, encoded.option_ids

A prompt ends where the answer begins, and an option is what the tokenizer makes of it there:
nothing is generated, nothing is parsed. This file must not know batches, caches or merges.
"""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from merit_interp.benchmarks.items import Item
from merit_interp.benchmarks.videos import Video
from merit_interp.errors import CheckpointError, ItemError
from merit_interp.models.loading import LoadedModel
from merit_interp.models.processors import Clip, SeenVideo, VideoProcessor
from merit_interp.models.tokenizers import token_ids
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


def see_video(processor: VideoProcessor, video: Video) -> SeenVideo:
    """What the family's processor makes of a video, for `encode_item`."""
    clip = Clip(video.indices, video.fps, video.n_clip_frames, video.duration_s)
    return processor.see(video.frames, clip)


def encode_item(
    vlm: LoadedModel,
    processor: VideoProcessor,
    item: Item,
    video: Video,
    scoring: Scoring,
    seen: SeenVideo | None = None,
) -> EncodedItem:
    """An item on its video, as the family's own processor and chat template write it.

    Args:
        vlm: Whose prompt it is.
        processor: That of the VLM.
        item: The item.
        video: Its frames.
        scoring: How it is asked.
        seen: What `see_video` made of the video, where several items ask about it.

    Raises:
        ItemError: Its text cannot be asked or answered.
        CheckpointError: Letters are not distinct single tokens, the processor does not make what
            the family's row names, or tokens and frames disagree.
    """
    question = question_text(item, scoring)
    for placeholder in processor.placeholders:
        if placeholder in question:
            raise ItemError(f"the text holds the placeholder {placeholder!r}")
    seen = seen or see_video(processor, video)
    prompt = processor.prompt(question, seen)
    prompt_ids, option_ids = _tokens(processor.tokenizer, prompt, item, scoring, vlm.source)
    ids, token_inputs = processor.expanded(prompt_ids, seen)
    visual_id = getattr(vlm.model.config, vlm.family.video_token_id)
    visual = [position for position, token in enumerate(ids) if token == visual_id]
    return EncodedItem(
        item=item,
        input_ids=torch.tensor(ids),
        option_ids=option_ids,
        vision_inputs=_named(vlm.family.video_inputs, seen.inputs, vlm.source),
        token_inputs={
            name: torch.tensor(values)
            for name, values in _named(vlm.family.token_inputs, token_inputs, vlm.source).items()
        },
        frame_tokens=map_frames(
            visual,
            video.spans_s,
            vlm.family,
            n_prompt=len(ids),
            kept=seen.inputs.get(vlm.family.kept_vectors),
        ),
    )


def _named(names: Sequence[str], made: Mapping[str, Any], source: str) -> dict[str, Any]:
    """What the forward takes out of what the processor made; a forward guesses what it lacks."""
    if missing := [name for name in names if name not in made]:
        raise CheckpointError(
            f"the processor of {source} makes no {' and no '.join(missing)}",
            valid="a transformers version that the family table was written for",
        )
    return {name: made[name] for name in names}


def encode_transcript(model: LoadedModel, item: Item, scoring: Scoring) -> EncodedItem:
    """An item on its transcript, for a model that reads.

    Raises:
        ItemError: The item has no transcript, or its text cannot be answered.
        CheckpointError: Letters are not distinct single tokens, or the chat template drops text.
    """
    if item.transcript is None:
        raise ItemError("there is no transcript")
    text = f"{item.transcript}\n{question_text(item, scoring)}"
    prompt = _chat(model, text, item.transcript) if model.tokenizer.chat_template else f"{text}\n"
    ids, option_ids = _tokens(model.tokenizer, prompt, item, scoring, model.source)
    return EncodedItem(
        item=item,
        input_ids=torch.tensor(ids),
        option_ids=option_ids,
        vision_inputs={},
        token_inputs={},
        frame_tokens=None,
    )


def _chat(model: LoadedModel, text: str, transcript: str) -> str:
    """A text as the user's turn; templates made for images and video read a list of parts."""
    for content in (text, [{"type": "text", "text": text}]):
        conversation: Any = [{"role": "user", "content": content}]
        prompt = str(
            model.tokenizer.apply_chat_template(
                conversation, tokenize=False, add_generation_prompt=True
            )
        )
        # a template that does not know the form drops the text without a word
        if transcript.strip() in prompt:
            return prompt
    raise CheckpointError(
        f"the chat template of {model.source} drops or changes an item's text",
        valid="a template that writes content given as text, or as a list of parts",
    )


def _tokens(
    tokenizer: PreTrainedTokenizerBase, prompt: str, item: Item, scoring: Scoring, source: str
) -> tuple[list[int], tuple[tuple[int, ...], ...]]:
    """Tokens of the prompt, and of each answer right after it.

    After a template that ends within a line (`ASSISTANT:`) models were trained to go on with a
    space. A tokenizer may merge the prompt's end with an answer's beginning: all answers then start
    at the first token that any of them changes, so that each is scored after the same tokens.
    """
    by_letter = scoring.answers != "option_text"
    answers = letters(item) if by_letter else item.options
    if not _begins_anew(tokenizer, prompt):
        prompt += " "
    alone, *together = token_ids(tokenizer, [prompt, *(prompt + answer for answer in answers)])
    shared = min(_n_shared(alone, ids) for ids in together)
    option_ids = tuple(tuple(ids[shared:]) for ids in together)
    for answer, ids in zip(answers, option_ids, strict=True):
        if not ids:
            raise ItemError(f"option {answer!r} is no token of {source}")
    if by_letter and (
        any(len(ids) > 1 for ids in option_ids) or len(set(option_ids)) < len(option_ids)
    ):
        raise CheckpointError(
            f"letters are not distinct single tokens of {source}: "
            + ", ".join(f"{a} is {list(ids)}" for a, ids in zip(answers, option_ids, strict=True)),
            valid="answers as option_text",
        )
    return alone[:shared], option_ids


def _begins_anew(tokenizer: PreTrainedTokenizerBase, prompt: str) -> bool:
    """Whether what follows a prompt stands at the beginning of a line or right after a marker."""
    markers = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    return prompt[-1:].isspace() or prompt.endswith(tuple(markers))


def _n_shared(first: Sequence[int], second: Sequence[int]) -> int:
    pairs = enumerate(zip(first, second, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(first), len(second)))

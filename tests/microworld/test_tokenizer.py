"""One token an event, short prompts, and texts that come back."""

import random
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from merit_interp.microworld import backbone_directory, vlm_directory
from merit_interp.microworld.tokenizer import (
    SPECIAL_TOKENS,
    TEXT_CHAT_TEMPLATE,
    VIDEO_CHAT_TEMPLATE,
    build_tokenizer,
    vocabulary,
)
from merit_interp.microworld.training_batches import text_of
from merit_interp.microworld.world import QUESTION_KINDS, ask_all, draw_clip

TOKENIZER = build_tokenizer(VIDEO_CHAT_TEMPLATE)


def test_a_question_is_a_few_whole_phrases() -> None:
    ids = TOKENIZER.encode("Which shape comes right after the circle?")
    assert TOKENIZER.convert_ids_to_tokens(ids) == [
        "Which shape comes right after the", "circle", "?",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", list(QUESTION_KINDS))
def test_prompts_are_short_known_and_come_back(kind: str) -> None:
    rng = random.Random(kind)
    for _ in range(40):
        clip = draw_clip(rng, 8)
        for question in ask_all(clip, rng, [kind]):
            ids = TOKENIZER.encode(question.text)
            assert 3 <= len(ids) <= 5
            assert TOKENIZER.unk_token_id not in ids
            text = text_of(clip, question)
            told = TOKENIZER.encode(text)
            assert told[len(clip) + 1 :] == ids
            assert TOKENIZER.decode(told) == text
            assert all(len(TOKENIZER.encode(option)) == 1 for option in question.options)


def test_ids_are_those_of_the_vocabulary() -> None:
    assert len(TOKENIZER) == len(vocabulary())
    for i, token in enumerate(vocabulary()):
        assert TOKENIZER.encode(token) == [i]


def test_unknown_words_become_unknown_tokens_and_known_ones_are_not_cut_from_them() -> None:
    tokens = TOKENIZER.convert_ids_to_tokens(TOKENIZER.encode("shaped circles red circle"))
    assert tokens == ["<unk>", "<unk>", "red circle"]
    assert "red" in TOKENIZER.convert_ids_to_tokens(TOKENIZER.encode("red circles"))


@pytest.mark.parametrize(
    ("kind", "directory"),
    [
        (AutoTokenizer, vlm_directory()),
        (PreTrainedTokenizerFast, vlm_directory()),
        # transformers' AutoTokenizer puts Qwen2Tokenizer in place of what any directory of model
        # type qwen2 declares, so the backbone's tokenizer is loaded by its own class.
        (PreTrainedTokenizerFast, backbone_directory()),
    ],
)
def test_saved_tokenizers_are_this_one(kind: Any, directory: Path) -> None:
    saved = kind.from_pretrained(directory)
    assert saved.get_vocab() == TOKENIZER.get_vocab()
    text = "<video>What colour is the third shape?"
    assert saved.encode(text) == TOKENIZER.encode(text)
    assert saved.pad_token_id == SPECIAL_TOKENS.index("<pad>")
    assert saved.eos_token_id == SPECIAL_TOKENS.index("<eos>")


def test_chat_templates_give_the_layout_of_training() -> None:
    question = "Which shape is third?"
    chat = [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": question}]}]
    for generate in (False, True):
        text = TOKENIZER.apply_chat_template(chat, tokenize=False, add_generation_prompt=generate)
        assert text == f"<video>{question}"
    teller = build_tokenizer(TEXT_CHAT_TEMPLATE)
    told = f"red circle blue star. {question}"
    for content in (told, [{"type": "text", "text": told}]):
        chat = [{"role": "user", "content": content}]
        assert teller.apply_chat_template(chat, tokenize=False) == told

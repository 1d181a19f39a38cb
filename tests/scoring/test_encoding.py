from __future__ import annotations

import copy
import dataclasses

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from merit_interp.benchmarks.items import Item, ItemFile
from merit_interp.benchmarks.videos import Video, decode_video
from merit_interp.errors import CheckpointError, ItemError
from merit_interp.models.loading import LoadedModel
from merit_interp.models.processors import VideoProcessor
from merit_interp.recipe import Scoring
from merit_interp.scoring.encoding import encode_item, encode_transcript, question_text
from tests.tiny_models import TOKENS_PER_FRAME

LETTER = Scoring(answers="letter")
TEXT = Scoring(answers="option_text")
ITEM = Item("q", "a.mp4", "What comes first?", ("the circle", "red", "yes"), 1, "reasoning")


@pytest.fixture(scope="module")
def video(item_file: ItemFile) -> Video:
    return decode_video(item_file.video_path(item_file.items[0]), max_frames=8)


def test_a_lettered_prompt_reads_as_lmms_evals() -> None:
    assert question_text(ITEM, LETTER) == (
        "What comes first?\nA. the circle\nB. red\nC. yes\n"
        "Answer with the option's letter from the given choices directly."
    )
    assert question_text(ITEM, TEXT) == "What comes first?"


def test_a_prompt_is_the_chat_template_with_its_video_expanded(
    vlm: LoadedModel, processor: VideoProcessor, video: Video
) -> None:
    encoded = encode_item(vlm, processor, ITEM, video, LETTER)
    text = vlm.tokenizer.decode(encoded.input_ids)
    n_visual = 8 * TOKENS_PER_FRAME + 1
    assert text == (
        f"<|im_start|>user\n{'<video>' * n_visual}\n{question_text(ITEM, LETTER)}<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert [vlm.tokenizer.decode(ids) for ids in encoded.option_ids] == ["A", "B", "C"]
    assert encoded.vision_inputs["pixel_values_videos"].shape == (1, 8, 3, 32, 32)
    assert encoded.token_inputs == {}
    assert encoded.without(["pixel_values_videos"]).vision_inputs == {}


def test_an_options_tokens_are_those_of_prompt_and_option_together(
    vlm: LoadedModel, processor: VideoProcessor, video: Video
) -> None:
    encoded = encode_item(vlm, processor, ITEM, video, TEXT)
    for ids, option in zip(encoded.option_ids, ITEM.options, strict=True):
        assert vlm.tokenizer.decode(ids) == option
        assert (
            list(ids)
            == vlm.tokenizer(processor.template(ITEM.question) + option)["input_ids"][-len(ids) :]
        )


def merging_tokenizer() -> PreTrainedTokenizerFast:
    """Knows ` A` as one token, so that the space after a prompt belongs to that answer."""
    words = ["<unk>", "a", "b", " ", " y", "y", "e", "s", "n", "o", "A", "B", " A", "</s>"]
    backend = Tokenizer(
        models.BPE(
            vocab={word: i for i, word in enumerate(words)},
            merges=[(" ", "y"), (" ", "A")],
            unk_token="<unk>",
        )
    )
    backend.pre_tokenizer = pre_tokenizers.Split("|", "isolated")
    backend.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", eos_token="</s>")


def test_where_prompt_and_option_merge_all_options_start_at_the_first_token_that_differs(
    backbone: LoadedModel,
) -> None:
    tokenizer = merging_tokenizer()
    tokenizer.chat_template = "{{ messages[0]['content'][:2] }}"
    model = dataclasses.replace(backbone, tokenizer=tokenizer)
    item = dataclasses.replace(ITEM, options=("no", "A"), transcript="ab")
    encoded = encode_transcript(model, item, TEXT)
    # "ab" and "A" are a, b, " A": the space of "ab" and "no" is then part of that answer too
    assert tokenizer.convert_ids_to_tokens(encoded.input_ids) == ["a", "b"]
    assert [tokenizer.convert_ids_to_tokens(ids) for ids in encoded.option_ids] == [
        [" ", "n", "o"],
        [" A"],
    ]


@pytest.mark.parametrize(
    ("end", "first"), [("", " A"), (" ", " A"), ("</s>", "A")], ids=["word", "space", "marker"]
)
def test_an_answer_within_a_line_begins_with_a_space(
    backbone: LoadedModel, end: str, first: str
) -> None:
    tokenizer = merging_tokenizer()
    tokenizer.chat_template = f"{{{{ messages[0]['content'][:2] }}}}{end}"
    model = dataclasses.replace(backbone, tokenizer=tokenizer)
    item = dataclasses.replace(ITEM, options=("A", "yes"), transcript="ab")
    encoded = encode_transcript(model, item, TEXT)
    assert tokenizer.convert_ids_to_tokens(encoded.option_ids[0]) == [first]


def test_letters_that_are_not_single_tokens_are_an_error(backbone: LoadedModel) -> None:
    tokenizer = merging_tokenizer()
    tokenizer.chat_template = "{{ messages[0]['content'][:2] }}"
    model = dataclasses.replace(backbone, tokenizer=tokenizer)
    item = dataclasses.replace(ITEM, options=("no", "o"), transcript="ab")
    with pytest.raises(CheckpointError, match="letters are not distinct single tokens"):
        encode_transcript(model, item, LETTER)


def test_an_unknown_option_is_an_error_only_where_it_is_no_token(backbone: LoadedModel) -> None:
    tokenizer = merging_tokenizer()
    tokenizer.chat_template = "{{ messages[0]['content'][:2] }}"
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Split("n", "removed")
    model = dataclasses.replace(backbone, tokenizer=tokenizer)
    item = dataclasses.replace(ITEM, options=("n", "o"), transcript="ab")
    with pytest.raises(ItemError, match="option 'n' is no token"):
        encode_transcript(model, item, TEXT)


def test_a_transcript_stands_where_the_video_would(backbone: LoadedModel) -> None:
    item = dataclasses.replace(ITEM, transcript="red circle .")
    encoded = encode_transcript(backbone, item, TEXT)
    assert backbone.tokenizer.decode(encoded.input_ids) == (
        "<|im_start|>user\nred circle .\nWhat comes first?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert encoded.frame_tokens is None
    with pytest.raises(ItemError, match="no transcript"):
        encode_transcript(backbone, ITEM, TEXT)


def test_a_backbone_without_a_chat_template_is_asked_in_plain_text(backbone: LoadedModel) -> None:
    tokenizer = merging_tokenizer()
    assert tokenizer.chat_template is None
    model = dataclasses.replace(backbone, tokenizer=tokenizer)
    item = dataclasses.replace(ITEM, question="a", options=("b", "a"), transcript="b")
    encoded = encode_transcript(model, item, TEXT)
    assert tokenizer.convert_ids_to_tokens(encoded.input_ids) == ["b", "<unk>", "a", "<unk>"]


@pytest.mark.parametrize("placeholder", ["<video>", "<image>"])
def test_a_placeholder_in_a_question_is_an_error(
    vlm: LoadedModel, processor: VideoProcessor, video: Video, placeholder: str
) -> None:
    item = dataclasses.replace(ITEM, question=f"What is {placeholder}?")
    with pytest.raises(ItemError, match=f"placeholder '{placeholder}'"):
        encode_item(vlm, processor, item, video, LETTER)


def test_there_are_no_more_options_than_letters(
    vlm: LoadedModel, processor: VideoProcessor, video: Video
) -> None:
    item = dataclasses.replace(ITEM, options=tuple(str(i) for i in range(27)))
    with pytest.raises(ItemError, match="27 options"):
        encode_item(vlm, processor, item, video, LETTER)


PARTS_ONLY = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part is mapping %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
)


def test_a_template_of_parts_gets_parts(backbone: LoadedModel) -> None:
    model = with_template(backbone, PARTS_ONLY)
    item = dataclasses.replace(ITEM, transcript="a circle, then a square")
    text = model.tokenizer.decode(encode_transcript(model, item, TEXT).input_ids)
    assert text == f"a circle, then a square\n{ITEM.question}"


def test_a_template_that_drops_the_question_is_refused(backbone: LoadedModel) -> None:
    model = with_template(backbone, "{{ 'nothing of it' }}")
    item = dataclasses.replace(ITEM, transcript="a circle, then a square")
    with pytest.raises(CheckpointError, match="drops or changes an item"):
        encode_transcript(model, item, TEXT)


def with_template(model: LoadedModel, template: str) -> LoadedModel:
    tokenizer = copy.deepcopy(model.tokenizer)
    tokenizer.chat_template = template
    return dataclasses.replace(model, tokenizer=tokenizer)

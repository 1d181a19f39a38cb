"""The pair's tokenizer: whole phrases as tokens, so that plain English prompts stay short.

    tokenizer = build_tokenizer(VIDEO_CHAT_TEMPLATE)
    tokenizer.encode("Which shape comes right after the circle?")   # stem, "circle", "?"

An event ("red circle") is one token, as one frame is one token to the VLM. It must not know
models or clips; the words are the world's.
"""

import re

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from merit_interp.microworld.world import COLOURS, EVENTS, ORDINALS, RECITALS, SHAPES

PAD_TOKEN = "<pad>"
END_TOKEN = "<eos>"
UNKNOWN_TOKEN = "<unk>"
IMAGE_TOKEN = "<image>"
VIDEO_TOKEN = "<video>"
SPECIAL_TOKENS = (PAD_TOKEN, END_TOKEN, UNKNOWN_TOKEN, IMAGE_TOKEN, VIDEO_TOKEN)

STEMS = (
    *RECITALS,
    "Which shape comes right after the later of the",
    "Which shape comes right before the earlier of the",
    "Which shape comes right after the",
    "Which shape comes right before the",
    "Which shape comes two after the",
    "Which shape comes two before the",
    "What colour is the shape right after the",
    "What colour is the shape right before the",
    "Which comes first, the",
    "Which comes last, the",
    "Which shape is",
    "What colour is the",
    "Does anything",
    "Does the",
    "or the",
    "and the",
    "appear",
    "shape",
)
"""Multi-word tokens of questions; a longer one wins over one that it begins with."""

VIDEO_CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['content'] is string -%}{{ message['content'] }}"
    "{%- else -%}"
    "{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'video' -%}<video>"
    "{%- elif part['type'] == 'image' -%}<image>"
    "{%- elif part['type'] == 'text' -%}{{ part['text'] }}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- endif -%}"
    "{%- endfor -%}"
)
"""A video is one placeholder, then the question; no system prompt, no generation prompt."""

TEXT_CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['content'] is string -%}{{ message['content'] }}"
    "{%- else -%}"
    "{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'text' -%}{{ part['text'] }}{%- endif -%}"
    "{%- endfor -%}"
    "{%- endif -%}"
    "{%- endfor -%}"
)
"""The user's text alone; its clean form is "<transcript> <question>"."""


def vocabulary() -> tuple[str, ...]:
    """Every token in the order of its id, special tokens first."""
    words = (".", "?", "yes", "no", *SHAPES, *COLOURS, *ORDINALS)
    return (*SPECIAL_TOKENS, *words, *STEMS, *(event.text for event in EVENTS))


def build_tokenizer(chat_template: str) -> PreTrainedTokenizerFast:
    """Builds the tokenizer; the same vocabulary serves the VLM and the backbone."""
    tokens = vocabulary()
    model = models.WordLevel({token: i for i, token in enumerate(tokens)}, UNKNOWN_TOKEN)
    backend = Tokenizer(model)
    phrases = sorted(tokens[len(SPECIAL_TOKENS) :], key=len, reverse=True)
    known = "|".join(re.escape(p) + (r"\b" if p[-1].isalpha() else "") for p in phrases)
    # What no phrase covers becomes <unk> word by word; only white space is dropped.
    pattern = Regex(rf"{known}|[^\s.?]+")
    backend.pre_tokenizer = pre_tokenizers.Split(pattern, behavior="removed", invert=True)
    backend.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        pad_token=PAD_TOKEN,
        eos_token=END_TOKEN,
        unk_token=UNKNOWN_TOKEN,
        extra_special_tokens={"image_token": IMAGE_TOKEN, "video_token": VIDEO_TOKEN},
        model_max_length=256,
        padding_side="left",
    )
    tokenizer.chat_template = chat_template
    return tokenizer

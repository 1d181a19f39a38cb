"""A checkpoint's tokenizer, as its own tokenizer.json has it.

    tokenizer = load_tokenizer(directory)

AutoTokenizer puts another class in place of what some families' files declare: with a config of
`qwen2` it reads vocabulary and merges into `Qwen2Tokenizer` and silently drops any other
pre-tokenizer of tokenizer.json. Where the files declare the plain class, that is what is loaded.
This file must not know models.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from merit_interp.errors import CheckpointError

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "*.tiktoken")
PLAIN_CLASSES = ("TokenizersBackend", "PreTrainedTokenizerFast")
"""`tokenizer_class` of a tokenizer that is all in tokenizer.json."""


def load_tokenizer(directory: Path, *, trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint directory.

    Raises:
        CheckpointError: It is missing or torn.
    """
    # without files transformers makes an empty tokenizer of the family's class, and says nothing
    if not any(path for name in TOKENIZER_FILES for path in directory.glob(name)):
        raise CheckpointError(
            f"{directory} has no tokenizer", valid=f"one of {', '.join(TOKENIZER_FILES)}"
        )
    auto: Any = AutoTokenizer
    try:
        if _declared_class(directory) in PLAIN_CLASSES:
            auto = PreTrainedTokenizerFast
        tokenizer: PreTrainedTokenizerBase = auto.from_pretrained(
            directory, local_files_only=True, trust_remote_code=trust_remote_code
        )
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot load the tokenizer of {directory}: {error}") from None
    return tokenizer


def _declared_class(directory: Path) -> str | None:
    """What tokenizer_config.json says of a tokenizer.json beside it."""
    config = directory / "tokenizer_config.json"
    if not (config.exists() and (directory / "tokenizer.json").exists()):
        return None
    declared = json.loads(config.read_text(encoding="utf-8")).get("tokenizer_class")
    return declared if isinstance(declared, str) else None


def token_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Tokens of each text; the texts are one prompt with different endings."""
    added = adds_special_tokens(tokenizer, texts[0])
    ids: list[list[int]] = tokenizer(list(texts), add_special_tokens=added)["input_ids"]
    return ids


def adds_special_tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> bool:
    """Whether the tokenizer is to add its own special tokens: not where the template wrote them."""
    return tokenizer.bos_token is None or not text.startswith(tokenizer.bos_token)

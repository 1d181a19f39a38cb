from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from merit_interp.errors import CheckpointError
from merit_interp.models.tokenizers import load_tokenizer
from tests.tiny_models import tiny_backbone


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tiny_backbone(tmp_path / "backbone")


def test_a_tokenizer_of_its_own_is_read_as_it_is_whatever_the_family(directory: Path) -> None:
    backend = Tokenizer(models.WordLevel({"<unk>": 0, "red circle": 1, "yes": 2}, "<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Split("|", "removed")
    own = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")
    own.save_pretrained(directory)
    assert load_tokenizer(directory)("red circle|yes")["input_ids"] == [1, 2]


def test_a_declared_family_tokenizer_is_left_to_transformers(directory: Path) -> None:
    config = directory / "tokenizer_config.json"
    text = "Which shape comes first?"
    plain = load_tokenizer(directory)
    config.write_text(config.read_text().replace("TokenizersBackend", "Qwen2Tokenizer"))
    assert type(load_tokenizer(directory)).__name__ == "Qwen2Tokenizer"
    assert load_tokenizer(directory)(text)["input_ids"] == plain(text)["input_ids"]


@pytest.mark.parametrize("name", ["tokenizer_config.json", "tokenizer.json"])
def test_a_torn_tokenizer_is_one_clear_error(directory: Path, name: str) -> None:
    (directory / name).write_text('{"version": ')
    with pytest.raises(CheckpointError, match="cannot load the tokenizer"):
        load_tokenizer(directory)

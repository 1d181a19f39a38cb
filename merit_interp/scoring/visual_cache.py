"""Visual features, computed once for each video and model and used again for every recipe.

    cache = VisualCache(budget_bytes=2**31)
    cache.put(key, visual_features(vlm, encoded.vision_inputs))
    outputs = encoder_outputs(vlm, [cache.get(key)])     # the forward's `mm_encoder_outputs`

Merging never touches the vision side, so what the encoder returned for the VLM holds for every
recipe. The forward takes it in place of pixels (`mm_encoder_outputs`), so that position ids and the
merging of embeddings stay the family's own. This file must not know items or recipes.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from merit_interp.errors import CheckpointError
from merit_interp.models.loading import LoadedModel
from merit_interp.record_files import write_whole

FEATURE_FIELDS = ("pooler_output", "deepstack_features")
"""What a forward reads of its encoder's output."""

Features = dict[str, Any]
"""Those fields of one video: a tensor, a sequence of tensors, or a sequence of such sequences."""


def visual_features(vlm: LoadedModel, vision_inputs: Mapping[str, Tensor]) -> Features:
    """What the VLM's encoder makes of one video, on the CPU."""
    encoder = vlm.model.get_submodule(vlm.family.vision_model)
    get_features = getattr(encoder, f"get_{vlm.family.encoder}_features")
    taken = set(inspect.signature(get_features).parameters) & set(vision_inputs)
    with torch.no_grad():
        output = get_features(
            **{name: vision_inputs[name].to(vlm.device) for name in taken}, return_dict=True
        )
    found = {name: getattr(output, name, None) for name in FEATURE_FIELDS}
    return {
        name: _mapped(value, torch.device("cpu"))
        for name, value in found.items()
        if value is not None
    }


def features_key(vlm: LoadedModel, vision_inputs: Mapping[str, Tensor]) -> str:
    """Identity of a video's features: the model's weights, their type, and the pixels."""
    digest = hashlib.sha256(f"{vlm.fingerprint} {vlm.placement.dtype}".encode())
    for name, value in sorted(vision_inputs.items()):
        digest.update(f" {name} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()


def check_feature_count(features: Features, n_tokens: int, source: str) -> None:
    """The encoder gives exactly one vector for each visual token of the prompt.

    Raises:
        CheckpointError: It does not: processor and model do not belong together.
    """
    vectors = sum(leaf.numel() // leaf.shape[-1] for leaf in _leaves(features["pooler_output"]))
    if vectors != n_tokens:
        raise CheckpointError(
            f"the processor of {source} makes {n_tokens} visual tokens of a video, "
            f"its vision tower {vectors}",
            valid="processor files and weights of one checkpoint",
        )


def encoder_outputs(vlm: LoadedModel, rows: Sequence[Features]) -> dict[str, Any]:
    """The forward's `mm_encoder_outputs` for a batch, one video a row."""
    joined = {
        name: _mapped(_joined([features[name] for features in rows]), vlm.device)
        for name in rows[0]
    }
    output = BaseModelOutputWithPooling(pooler_output=joined.pop("pooler_output"))
    for name, value in joined.items():
        setattr(output, name, value)
    return {vlm.family.encoder: output}


def n_bytes(features: Features) -> int:
    """Memory that features take."""
    leaves = [leaf for value in features.values() for leaf in _leaves(value)]
    return sum(leaf.numel() * leaf.element_size() for leaf in leaves)


def _leaves(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [leaf for part in value for leaf in _leaves(part)]


def _mapped(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    return tuple(_mapped(part, device) for part in value)


def _joined(videos: Sequence[Any]) -> Any:
    """One value for the batch out of each video's: the same nesting, the videos in row order."""
    first = videos[0]
    if isinstance(first, Tensor):
        if len({video.shape[1:] for video in videos}) == 1:
            return torch.cat(list(videos))
        # videos of different lengths: forwards flatten what they scatter into the tokens
        return torch.cat([video.flatten(0, -2) for video in videos])[None]
    if isinstance(first[0], Tensor):
        return tuple(tensor for video in videos for tensor in video)
    return tuple(_joined(layer) for layer in zip(*videos, strict=True))


class VisualCache:
    """Features in memory up to a budget, then on disk.

    Args:
        budget_bytes: Memory to use.
        directory: Where to put what does not fit; features that an earlier run left there are
            used again. A temporary directory where not given.
    """

    def __init__(self, budget_bytes: int, directory: Path | None = None) -> None:
        self._left = budget_bytes
        self._memory: dict[str, Features] = {}
        self._directory = directory

    def reserve(self, n_bytes: int) -> bool:
        """Take memory out of the budget; False, and nothing taken, where it does not suffice."""
        if n_bytes > self._left:
            return False
        self._left -= n_bytes
        return True

    def __contains__(self, key: str) -> bool:
        return key in self._memory or (self._directory is not None and self._path(key).exists())

    def put(self, key: str, features: Features) -> None:
        """Keep features.

        Raises:
            RunError: They do not fit into memory and the disk cannot be written.
        """
        if self.reserve(n_bytes(features)):
            self._memory[key] = features
            return
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="merit-interp-features-"))
            weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)
        content = io.BytesIO()
        torch.save(features, content)
        write_whole(self._path(key), content.getvalue())

    def get(self, key: str) -> Features:
        """Features that were put."""
        if key in self._memory:
            return self._memory[key]
        features: Features = torch.load(self._path(key), weights_only=True)
        return features

    def _path(self, key: str) -> Path:
        assert self._directory is not None
        return self._directory / f"{key}.pt"

"""Models in memory: a VLM or a backbone, loaded and verified before any science is done on it.

    vlm = load_vlm("models/vlm", placement=Placement(device="cuda", dtype="bfloat16"))
    vlm.projection(layer=4, name="q").weight

Key names differ between files and modules, and a key that fits nowhere leaves its module random
without an error (huggingface/transformers#45358); so the modules are compared with the files here.
This file must not know items, prompts or merges.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from merit_interp.errors import CheckpointError, SettingError
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.families import Family, backbone_family, vlm_family
from merit_interp.models.fingerprints import fingerprint
from merit_interp.models.kept_logits import give_kept_logits
from merit_interp.models.text_tensors import TextTensor, text_tensors
from merit_interp.models.tokenizers import load_tokenizer
from merit_interp.recipe import ModelReference

ModuleKind = TypeVar("ModuleKind", bound=nn.Module)

DTYPES = ("float32", "bfloat16", "float16")
DEVICE_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")
"""accelerate's ways to spread a model over several devices."""


@dataclass(frozen=True)
class Placement:
    """Where a model's weights go, and in what type."""

    device: str = "cpu"
    """Torch device; with a `device_map`, where inputs go."""
    dtype: str = "float32"
    """Type of the weights in memory."""
    device_map: str | None = None
    """One of `DEVICE_MAPS`: spread the model over the devices; None for all of it on `device`."""
    trust_remote_code: bool = False
    """Whether code that comes with the checkpoint may run."""

    @property
    def torch_dtype(self) -> torch.dtype:
        """The type as torch has it.

        Raises:
            SettingError: It is not one of `DTYPES`.
        """
        if self.dtype not in DTYPES:
            raise SettingError(f"no dtype {self.dtype!r}", valid=", ".join(DTYPES))
        dtype: torch.dtype = getattr(torch, self.dtype)
        return dtype

    @property
    def torch_device(self) -> torch.device:
        """The device, checked to be there.

        Raises:
            SettingError: There is no such device.
        """
        there = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        if torch.backends.mps.is_available():
            there.append("mps")
        wanted = "cuda:0" if self.device == "cuda" else self.device
        if wanted not in there:
            raise SettingError(f"no device {self.device!r} here", valid=", ".join(there))
        return torch.device(wanted)

    @property
    def checked_device_map(self) -> str | None:
        """The device map, checked to be one.

        Raises:
            SettingError: There is no such map.
        """
        if self.device_map not in (None, *DEVICE_MAPS):
            raise SettingError(f"no device map {self.device_map!r}", valid=", ".join(DEVICE_MAPS))
        return self.device_map


CPU_FLOAT32 = Placement()


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A verified model with its family, tokenizer and identity; evaluation mode, no gradients."""

    model: PreTrainedModel
    family: Family
    tokenizer: PreTrainedTokenizerBase
    source: str
    """Directory or hub id, as given."""
    revision: str | None
    """Hub commit; None for a directory."""
    fingerprint: str
    """`sha256:...` over config and weights."""
    placement: Placement
    directory: Path
    """Where the checkpoint's files are."""

    @property
    def text_layers(self) -> nn.ModuleList:
        """The text layers, in order."""
        layers = self.model.get_submodule(self.family.text_layers)
        assert isinstance(layers, nn.ModuleList)  # checked when it was loaded
        return layers

    @property
    def n_layers(self) -> int:
        """Number of text layers."""
        return len(self.text_layers)

    @property
    def lending_layers(self) -> tuple[int, ...]:
        """Text layers whose keys and values later ones use too: those cannot run without them."""
        config = self.model.config.get_text_config(decoder=True)
        modes = getattr(config, "kv_sharing_modes", ())
        return tuple(layer for layer, mode in enumerate(modes) if mode == "store")

    @property
    def device(self) -> torch.device:
        """Where inputs go: the device of the text embedding."""
        return next(self.model.get_input_embeddings().parameters()).device

    def projection(self, layer: int, name: str) -> nn.Linear:
        """One of q, k, v, o of one text layer."""
        module = self.text_layers[layer].get_submodule(self.family.projection_path(name))
        assert isinstance(module, nn.Linear)  # checked when it was loaded
        return module

    def text_parameters(self) -> dict[TextTensor, torch.Tensor]:
        """Every tensor of the text layers that is saved, by layer and name within the layer."""
        return {
            TextTensor(number, name): parameter
            for number, layer in enumerate(self.text_layers)
            # with buffers, which are weights too in some families (Gemma 4's `layer_scalar`)
            for name, parameter in layer.state_dict(keep_vars=True).items()
        }

    def reference(self) -> ModelReference:
        """What a recipe writes down of this model."""
        return ModelReference(
            source=self.source, revision=self.revision, fingerprint=self.fingerprint
        )


def load_vlm(
    source: str | Path, *, revision: str | None = None, placement: Placement = CPU_FLOAT32
) -> LoadedModel:
    """Load a VLM from a directory or the hub.

    Raises:
        CheckpointError: The checkpoint is missing, damaged, of no known family, holds NaN, or does
            not fill the model exactly.
        SettingError: The device or type does not exist, or has no room.
    """
    checkpoint = Checkpoint.open(source, revision=revision)
    family = vlm_family(checkpoint.config, checkpoint.source)
    return _load(AutoModelForImageTextToText, checkpoint, family, placement)


def load_backbone(
    source: str | Path, *, revision: str | None = None, placement: Placement = CPU_FLOAT32
) -> LoadedModel:
    """Load a text backbone from a directory or the hub; raises as `load_vlm` does."""
    checkpoint = Checkpoint.open(source, revision=revision)
    family = backbone_family(checkpoint.config, checkpoint.source)
    return _load(AutoModelForCausalLM, checkpoint, family, placement)


def _load(
    auto_class: Any, checkpoint: Checkpoint, family: Family, placement: Placement
) -> LoadedModel:
    if "quantization_config" in checkpoint.config:
        raise CheckpointError(f"{checkpoint.source} is quantised", valid="float weights")
    model = _filled_model(auto_class, checkpoint, placement)
    _check_modules(model, family, checkpoint)
    _check_parameters(model, checkpoint)
    _check_against_files(model, family, checkpoint)
    give_kept_logits(model, family.lm_head)
    model.train(False)
    model.requires_grad_(False)
    return LoadedModel(
        model=model,
        family=family,
        tokenizer=load_tokenizer(
            checkpoint.directory, trust_remote_code=placement.trust_remote_code
        ),
        source=checkpoint.source,
        revision=checkpoint.revision,
        fingerprint=fingerprint(checkpoint),
        placement=placement,
        directory=checkpoint.directory,
    )


def _filled_model(auto_class: Any, checkpoint: Checkpoint, placement: Placement) -> PreTrainedModel:
    """The model with every parameter taken from the files, and nothing left over."""
    device, device_map = placement.torch_device, placement.checked_device_map
    with _quiet_transformers():
        try:
            model, report = auto_class.from_pretrained(
                checkpoint.directory,
                dtype=placement.torch_dtype,
                device_map=device_map,
                trust_remote_code=placement.trust_remote_code,
                attn_implementation="sdpa",
                local_files_only=True,
                # reported below, by name, instead of transformers' own table
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
            if device_map is None:
                model.to(device)
        except torch.OutOfMemoryError:
            raise SettingError(
                f"{checkpoint.source} does not fit on {placement.device} as {placement.dtype}",
                valid="another --device, --device-map auto, or --dtype bfloat16",
            ) from None
        except (OSError, ValueError, StrictDataclassError) as error:
            raise CheckpointError(f"cannot load {checkpoint.source}: {error}") from None
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        keys = sorted(str(key) for key in report[kind])
        if keys:
            what = kind.replace("_", " ")
            raise CheckpointError(
                f"{checkpoint.source} does not fill {type(model).__name__}: {len(keys)} {what}, "
                f"the first {keys[0]}",
                valid="a checkpoint saved whole by its own class",
            )
    return model  # type: ignore[no-any-return]


def _check_modules(model: PreTrainedModel, family: Family, checkpoint: Checkpoint) -> None:
    """Every path of the family's row leads to a module of the expected kind."""
    layers = _submodule(model, family.text_layers, nn.ModuleList, checkpoint)
    _submodule(model, family.text_model, nn.Module, checkpoint)
    _submodule(model, family.lm_head, nn.Module, checkpoint)
    _submodule(model, family.vision_model, nn.Module, checkpoint)
    for layer in layers:
        kinds: dict[str, type[nn.Module]] = dict.fromkeys(family.also_in_attention, nn.Module)
        kinds |= dict.fromkeys(family.projections.values(), nn.Linear)
        for name, kind in kinds.items():
            attention = getattr(layer, family.self_attention, None)
            if name in family.not_in_every_layer and getattr(attention, name, None) is None:
                continue
            _submodule(layer, f"{family.self_attention}.{name}", kind, checkpoint)


def _submodule(
    module: nn.Module, path: str, kind: type[ModuleKind], checkpoint: Checkpoint
) -> ModuleKind:
    try:
        found = module.get_submodule(path)
    except AttributeError:
        found = None
    if not isinstance(found, kind):
        raise CheckpointError(
            f"{checkpoint.source}: {type(module).__name__} of transformers "
            f"{transformers.__version__} has no {kind.__name__} at {path!r}",
            valid="a transformers version that the family table was written for",
        )
    return found


def _check_parameters(model: PreTrainedModel, checkpoint: Checkpoint) -> None:
    for name, parameter in model.named_parameters():
        if parameter.is_meta:
            raise SettingError(
                f"{checkpoint.source} does not fit on the devices: {name} was left in the memory "
                "of the CPU or on disk",
                valid="more devices, or --dtype bfloat16; what is offloaded cannot be merged",
            )
        if not bool(torch.isfinite(parameter).all()):
            raise CheckpointError(
                f"{checkpoint.source}: {name} holds NaN or infinity", valid="finite weights"
            )


def _check_against_files(model: PreTrainedModel, family: Family, checkpoint: Checkpoint) -> None:
    """Tensors of the first and last layer in memory equal those under the family's disk prefix."""
    layers = _submodule(model, family.text_layers, nn.ModuleList, checkpoint)
    ends = (0, len(layers) - 1)
    parameters = {number: dict(layers[number].named_parameters()) for number in ends}
    for tensor, key in text_tensors(checkpoint, family).items():
        # old files hold buffers too, which transformers computes itself
        parameter = parameters.get(tensor.layer, {}).get(tensor.name)
        if parameter is None:
            continue
        stored = checkpoint.tensor(key).to(parameter.dtype)
        if not torch.equal(stored, parameter.cpu()):
            raise CheckpointError(
                f"{checkpoint.source}: {key} in the files is not what transformers "
                f"{transformers.__version__} put into layer {tensor.layer}",
                valid="a transformers version that the family table was written for",
            )


@contextlib.contextmanager
def _quiet_transformers() -> Iterator[None]:
    """No table of missing keys (it becomes an error), and a progress bar on terminals only."""
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.ERROR)
    if not sys.stderr.isatty():
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]

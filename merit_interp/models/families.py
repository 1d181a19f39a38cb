"""The family table: where each architecture keeps what this project reads, as data.

    family = vlm_family(checkpoint.config)
    family.text_layers    # "model.language_model.layers"

A new architecture is one more row. Nothing outside this table and the processors may depend on a
family's name. This file must not know how checkpoints are read or models are loaded, and loads no
torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from merit_interp.errors import CheckpointError


def _qkvo() -> Mapping[str, str]:
    return MappingProxyType({"q": "q_proj", "k": "k_proj", "v": "v_proj", "o": "o_proj"})


@dataclass(frozen=True)
class Family:
    """One architecture; every path is relative to the model that transformers builds."""

    model_type: str
    """`model_type` of the checkpoint's config.json."""
    text_model: str
    """Module path of the text stack in memory."""
    text_layers: str
    """Module path of the list of text layers in memory."""
    lm_head: str
    """Module path of the output embedding in memory."""
    disk_layers: tuple[str, ...]
    """Key prefixes that text layers may have in the files; a checkpoint uses one of them."""
    self_attention: str = "self_attn"
    """Name of the self-attention module within a layer."""
    projections: Mapping[str, str] = field(default_factory=_qkvo)
    """Module name within self-attention of each of q, k, v and o."""
    also_in_attention: tuple[str, ...] = ()
    """What else self-attention holds (norms of q and k), merged with the whole layer only."""
    not_in_every_layer: tuple[str, ...] = ()
    """Modules of self-attention that some layers lack, on both sides of a pair: those layers use
    the keys and values of an earlier one, or their keys as values. The others are merged."""
    vision_model: str = ""
    """Module path of the module that has `get_video_features`; empty for a backbone."""
    video_inputs: tuple[str, ...] = ()
    """Names of the forward's arguments that carry the video, the pixels first."""
    token_inputs: tuple[str, ...] = ()
    """Names of the forward's arguments with a value for each token of the prompt."""
    video_token_id: str = ""
    """Attribute of the config with the id of the placeholder of a visual token."""
    encoder: str = "video"
    """Which encoder sees the video: `get_<encoder>_features`, `mm_encoder_outputs[<encoder>]`."""
    frames_per_unit: int = 1
    """Frames that share visual tokens (a temporal patch)."""
    frameless_tokens: int = 0
    """Visual tokens after the last frame that belong to no frame."""
    kept_vectors: str = ""
    """Name among `video_inputs` of a mask over the encoder's vectors: True where one is a token.
    Empty where all are. Frames then differ in tokens, and the vectors are shared out evenly."""

    drops_zero_frames: bool = False
    """Whether a frame that is all zero after normalisation is taken for padding."""

    @property
    def has_vision(self) -> bool:
        """Whether this is a family of VLMs."""
        return bool(self.video_inputs)

    def projection_path(self, projection: str) -> str:
        """Path of a projection within its layer, the same in memory and on disk."""
        return f"{self.self_attention}.{self.projections[projection]}"

    def projection_of(self, tensor: str) -> str | None:
        """Which of q, k, v, o a layer's tensor belongs to, or None.

        Args:
            tensor: Name within the layer, like `self_attn.q_proj.bias`.
        """
        module, _, kind = tensor.rpartition(".")
        if kind not in ("weight", "bias"):
            return None
        for projection in self.projections:
            if module == self.projection_path(projection):
                return projection
        return None

    def attention_label(self, tensor: str) -> str | None:
        """Short name of a self-attention tensor, like `q.bias` or `q_norm.weight`, or None."""
        if projection := self.projection_of(tensor):
            return f"{projection}.{tensor.rpartition('.')[2]}"
        within = tensor.removeprefix(f"{self.self_attention}.")
        if within != tensor and within.partition(".")[0] in self.also_in_attention:
            return within
        return None


def _backbone(model_type: str, also_in_attention: tuple[str, ...] = ()) -> Family:
    return Family(
        model_type=model_type,
        text_model="model",
        text_layers="model.layers",
        lm_head="lm_head",
        disk_layers=("model.layers",),
        also_in_attention=also_in_attention,
    )


def _llava(model_type: str) -> Family:
    """A vision tower and a projector beside the text model."""
    return Family(
        model_type=model_type,
        text_model="model.language_model",
        text_layers="model.language_model.layers",
        lm_head="lm_head",
        disk_layers=("language_model.model.layers", "model.language_model.layers"),
        vision_model="model",
        video_inputs=("pixel_values_videos",),
        video_token_id="video_token_id",
    )


def _qwen(model_type: str, *more_inputs: str) -> Family:
    """Patches in one flat table, two frames to a temporal patch, 3D positions from the grid."""
    return Family(
        model_type=model_type,
        text_model="model.language_model",
        text_layers="model.language_model.layers",
        lm_head="lm_head",
        disk_layers=("model.layers", "model.language_model.layers"),
        vision_model="model",
        video_inputs=("pixel_values_videos", "video_grid_thw", *more_inputs),
        token_inputs=("mm_token_type_ids",),
        video_token_id="video_token_id",
        frames_per_unit=2,
    )


def _table(*rows: Family) -> Mapping[str, Family]:
    return MappingProxyType({row.model_type: row for row in rows})


VLM_FAMILIES: Mapping[str, Family] = _table(
    dataclasses.replace(_llava("llava_onevision"), frameless_tokens=1),  # image_newline
    _llava("llava_next_video"),
    _llava("video_llava"),
    dataclasses.replace(
        _llava("internvl"),  # its frames are images
        video_inputs=("pixel_values",),
        video_token_id="image_token_id",
        encoder="image",
    ),
    dataclasses.replace(
        _llava("video_llama_3"),
        disk_layers=("model.language_model.layers",),
        video_inputs=(
            "pixel_values_videos",
            "video_grid_thw",
            "video_merge_sizes",
            "video_compression_mask",
        ),
        kept_vectors="video_compression_mask",
    ),
    Family(
        model_type="smolvlm",  # frames are images; all of one size, so no pixel is masked
        text_model="model.text_model",
        text_layers="model.text_model.layers",
        lm_head="lm_head",
        disk_layers=("model.text_model.layers",),
        vision_model="model",
        video_inputs=("pixel_values",),
        video_token_id="image_token_id",
        encoder="image",
        drops_zero_frames=True,
    ),
    dataclasses.replace(
        _llava("gemma3"),  # tokens of one image see each other, by `token_type_ids`
        also_in_attention=("q_norm", "k_norm"),
        video_inputs=("pixel_values",),
        token_inputs=("token_type_ids",),
        video_token_id="image_token_id",
        encoder="image",
    ),
    dataclasses.replace(
        _llava("gemma4"),
        disk_layers=("model.language_model.layers",),
        also_in_attention=("q_norm", "k_norm"),
        not_in_every_layer=("k_proj", "v_proj", "k_norm"),
        video_inputs=("pixel_values_videos", "video_position_ids", "num_frames_per_video"),
        token_inputs=("mm_token_type_ids",),
    ),
    _qwen("qwen2_vl"),
    _qwen("qwen2_5_vl", "second_per_grid_ts"),
    dataclasses.replace(
        _qwen("qwen3_vl"),
        disk_layers=("model.language_model.layers",),
        also_in_attention=("q_norm", "k_norm"),
    ),
    dataclasses.replace(
        _qwen("glm4v"),
        disk_layers=("model.language_model.layers",),
        video_token_id="image_token_id",  # a temporal patch is written like an image
    ),
)
"""Families of video-language models, by `model_type`."""

BACKBONE_FAMILIES: Mapping[str, Family] = _table(
    _backbone("qwen2"),
    _backbone("qwen3", also_in_attention=("q_norm", "k_norm")),
    _backbone("gemma3_text", also_in_attention=("q_norm", "k_norm")),
    dataclasses.replace(
        _backbone("gemma4_text", also_in_attention=("q_norm", "k_norm")),
        not_in_every_layer=("k_proj", "v_proj", "k_norm"),
    ),
    _backbone("llama"),
    _backbone("mistral"),
    _backbone("glm4"),
)
"""Families of text-only backbones, by `model_type`."""


def vlm_family(config: Mapping[str, Any], name: str = "config.json") -> Family:
    """The row of a VLM's config.json.

    Args:
        config: The file's content.
        name: What to call the checkpoint in an error.

    Raises:
        CheckpointError: The model is a text-only one, or of no family in the table.
    """
    return _row(config, name, VLM_FAMILIES, "VLM", BACKBONE_FAMILIES, "text-only model")


def backbone_family(config: Mapping[str, Any], name: str = "config.json") -> Family:
    """The row of a backbone's config.json; arguments as `vlm_family`.

    Raises:
        CheckpointError: The model is a VLM, or of no family in the table.
    """
    return _row(config, name, BACKBONE_FAMILIES, "backbone", VLM_FAMILIES, "VLM")


def _row(
    config: Mapping[str, Any],
    name: str,
    table: Mapping[str, Family],
    role: str,
    other: Mapping[str, Family],
    other_role: str,
) -> Family:
    model_type = config.get("model_type")
    if model_type in table:
        return table[str(model_type)]
    problem = f"{name} has model_type {model_type!r}, which is no {role} family known here"
    if model_type in other:
        problem = f"{name} is a {other_role} ({model_type}), not a {role}"
    raise CheckpointError(problem, valid=f"{role} families {', '.join(sorted(table))}")

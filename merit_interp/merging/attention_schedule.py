"""Coefficients without a search: the less a layer looks at the video, the more of the backbone.

    attention = visual_attention(evaluation)      # by layer, from the VLM's own prompts
    recipe.with_layers(schedule_of(attention))

The idea is FRANK's (arXiv 2505.16151): shallow layers attend to visual tokens and deep ones to
text, so reasoning is merged in where the video is not looked at. FRANK solves for two weights a
layer from task vectors, with this attention as a prior; here the attention is the schedule, and no
base is needed. No answer is used. This file must not know merges or files.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from merit_interp.errors import ItemError, NotANumberError
from merit_interp.models.loading import LoadedModel
from merit_interp.scoring.evaluation import Evaluation

MOST_ITEMS = 32
"""Items that are looked at; what a layer attends to hardly depends on the item."""
QUERIES_AT_ONCE = 32
"""Rows of attention that are in memory at a time: some 100 MB for 20000 tokens and 28 heads."""
DECIMALS = 3
"""Of a coefficient, so that it does not depend on the last bits of a device's sums."""

Watch = Callable[[int, Tensor], None]
"""Told a layer and the attention of each watched query to the visual tokens, (heads, queries)."""


def visual_attention(evaluation: Evaluation, *, limit: int = MOST_ITEMS) -> tuple[float, ...]:
    """Share of attention that goes to visual tokens, by text layer, in [0, 1].

    The mean over heads, over the text tokens after the video, and over items. Only those tokens'
    rows of attention are ever computed, a few at a time; the model's forward stays as it is.

    Args:
        evaluation: Prepared items of the unmerged VLM.
        limit: Most items.

    Raises:
        ItemError: No item could be prepared.
        NotANumberError: The model gives NaN, as float16 may.
    """
    vlm = evaluation.model
    chosen = evaluation.in_own_order[:limit]
    if not chosen:
        raise ItemError(f"no item of {evaluation.item_file.path} has a video that can be seen")
    total = torch.zeros(vlm.n_layers, dtype=torch.float64)
    for index in chosen:
        batch = evaluation.batch_of([index])
        tokens = evaluation.encoded[index].frame_tokens
        assert tokens is not None  # the evaluation is of videos
        visual = tokens.visual_mask().nonzero().flatten()
        queries = torch.arange(int(visual[-1]) + 1, tokens.n_prompt)

        def seen(layer: int, mass: Tensor) -> None:
            total[layer] += float(mass.double().mean())

        with torch.no_grad(), _watched(vlm, visual, queries, seen):
            vlm.model(**evaluation.batch_inputs(batch))
        if bool(total.isnan().any()):
            raise NotANumberError(
                f"the attention of {vlm.source} is NaN for item {evaluation.items[index].id} as "
                f"{vlm.placement.dtype}",
                valid="--dtype float32 or bfloat16",
            )
    return tuple((total / len(chosen)).tolist())


def schedule_of(attention: Sequence[float], *, most: float = 1.0) -> dict[int, float]:
    """Coefficient of each layer: `most * (1 - attention / the highest attention)`.

    The layer that looks at the video most stays the VLM's; one that never does gets `most`.

    Args:
        attention: Share of attention to visual tokens, by layer.
        most: The highest coefficient, in [0, 1].
    """
    highest = max(attention) or 1.0
    return {
        layer: round(most * (1.0 - share / highest), DECIMALS)
        for layer, share in enumerate(attention)
    }


@contextlib.contextmanager
def _watched(vlm: LoadedModel, visual: Tensor, queries: Tensor, watch: Watch) -> Iterator[None]:
    """Within the block, the text layers' attention reports on the first row of the batch."""
    layers = {
        id(layer.get_submodule(vlm.family.self_attention)): number
        for number, layer in enumerate(vlm.text_layers)
    }

    def attention(
        module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None,
        **kwargs: Any,
    ) -> tuple[Tensor, None]:  # fmt: skip
        if id(module) in layers:
            rows = _attention_rows(query[0], key[0], mask, queries, kwargs.get("scaling"))
            parts = [part[..., visual.to(part.device)].sum(dim=-1) for part in rows]
            watch(layers[id(module)], torch.cat(parts, dim=-1))
        return sdpa_attention_forward(module, query, key, value, mask, **kwargs)

    # under its own name, since transformers makes no mask for an attention that it does not know
    ALL_ATTENTION_FUNCTIONS["sdpa"] = attention
    try:
        yield
    finally:
        ALL_ATTENTION_FUNCTIONS.pop("sdpa")


def _attention_rows(
    query: Tensor, key: Tensor, mask: Tensor | None, queries: Tensor, scaling: float | None
) -> Iterator[Tensor]:
    """Attention of some queries over all keys, (heads, queries, keys), in float32.

    Args:
        query: (heads, tokens, width), positions encoded.
        key: (key-value heads, tokens, width); each serves as many heads.
        mask: As transformers gives it to sdpa: true where a key is seen, or added; None for causal.
        queries: Which tokens.
        scaling: Of the products; None for one over the square root of the width.
    """
    grouped = key.repeat_interleave(len(query) // len(key), dim=0).float().transpose(1, 2)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    keys = torch.arange(key.shape[1], device=key.device)
    for rows in torch.split(queries.to(key.device), QUERIES_AT_ONCE):
        scores = query[:, rows].float() @ grouped * scale
        if mask is None:
            scores = scores.masked_fill(keys > rows[:, None], -torch.inf)
        elif mask.dtype == torch.bool:
            scores = scores.masked_fill(~mask[0][:, rows], -torch.inf)
        else:
            scores = scores + mask[0][:, rows].float()
        yield scores.softmax(dim=-1)

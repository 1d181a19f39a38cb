"""A merge applied to a loaded VLM and taken back, bit for bit.

    merge = InMemoryMerge(vlm, Checkpoint.open("models/backbone"))
    with merge.applied(recipe):
        ...    # vlm.model is the merged model here

Going from one recipe to the next changes only the tensors whose share differs. This file must not
know items, scores or how recipes are found.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal

import torch

from merit_interp.errors import RecipeError
from merit_interp.merging.merge_plan import require_made_for, shared_tensors, tensor_shares
from merit_interp.merging.methods import merge_method
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.families import backbone_family
from merit_interp.models.fingerprints import fingerprint
from merit_interp.models.loading import LoadedModel
from merit_interp.models.pairing import layout_differences, refuse_differences, text_config
from merit_interp.models.text_tensors import TextTensor, text_tensors
from merit_interp.recipe import PROJECTIONS, Recipe

_UNKNOWN = ("", math.nan)
"""In force while a tensor is being written: equal to nothing, so it is written again."""


class InMemoryMerge:
    """Keeps both sides' tensors of the mergeable scope beside a VLM, on its own device.

    Make it while the VLM is unmerged: what it finds in the model is what it restores. Memory is
    twice the scope's weights (for self-attention of a 7B model in bf16 about 3 GiB). Weights are
    merged in the type that they have in memory: with the stored type they are those of `merge` on
    disk, bit for bit.

    Args:
        vlm: The model that is changed in place.
        backbone: The other side, read tensor by tensor.
        projections: Projections that recipes may merge.
        weights: `self_attention`, or `text` for recipes that merge whole layers too.

    Raises:
        PairError: The two do not pair.
        CheckpointError: The backbone cannot be read or holds NaN.
    """

    def __init__(
        self,
        vlm: LoadedModel,
        backbone: Checkpoint,
        *,
        projections: tuple[str, ...] = PROJECTIONS,
        weights: Literal["self_attention", "text"] = "self_attention",
    ) -> None:
        self.vlm = vlm
        self.projections = projections
        self.weights = weights
        self._backbone_fingerprint = fingerprint(backbone)
        keys = text_tensors(backbone, backbone_family(backbone.config, backbone.source))
        own_config = vlm.model.config.get_text_config(decoder=True)
        differences = layout_differences(own_config, text_config(backbone))
        refuse_differences(vlm.source, backbone.source, differences)
        parameters = {t: p for t, p in vlm.text_parameters().items() if self._in_scope(t)}
        shared = shared_tensors(
            {tensor: tuple(parameter.shape) for tensor, parameter in parameters.items()},
            {tensor: backbone.shape(key) for tensor, key in keys.items()},
            vlm.family,
        )
        self._parameters = {tensor: parameters[tensor] for tensor in shared}
        self._originals = {t: p.detach().clone() for t, p in self._parameters.items()}
        self._backbone = {
            tensor: backbone.finite_tensor(keys[tensor]).to(parameter.device)
            for tensor, parameter in self._parameters.items()
        }
        self._in_force: dict[TextTensor, tuple[str, float]] = {}

    @property
    def in_force(self) -> Mapping[TextTensor, float]:
        """Share of the backbone in every tensor that is not the VLM's own now."""
        return MappingProxyType({tensor: share for tensor, (_, share) in self._in_force.items()})

    def apply(self, recipe: Recipe) -> None:
        """Make the model the recipe's, from whatever is in force.

        Raises:
            RecipeError: The recipe was made for other weights, names a layer that the model lacks,
                an unknown method, or something outside the scope.
        """
        self._require_scope(recipe)
        require_made_for(recipe, vlm=self.vlm.fingerprint, backbone=self._backbone_fingerprint)
        merge_method(recipe.method)  # an unknown one is refused before anything changes
        shares = tensor_shares(
            recipe, self._parameters, self.vlm.family, n_layers=self.vlm.n_layers
        )
        self._change_to({tensor: (recipe.method, share) for tensor, share in shares.items()})

    def restore(self) -> None:
        """Make the model the unmerged VLM again, bit for bit."""
        self._change_to({})

    @contextlib.contextmanager
    def applied(self, recipe: Recipe) -> Iterator[None]:
        """The recipe within the block, what was in force before it after it, come what may."""
        # a tensor that an earlier interrupt left half-way goes back to the VLM's
        before = {t: now for t, now in self._in_force.items() if now is not _UNKNOWN}
        try:
            self.apply(recipe)
            yield
        finally:
            self._change_to(before)

    @torch.no_grad()
    def _change_to(self, wanted: Mapping[TextTensor, tuple[str, float]]) -> None:
        for tensor in [*self._in_force, *wanted]:
            now, then = self._in_force.get(tensor), wanted.get(tensor)
            if now == then:
                continue
            value = self._originals[tensor]
            if then is not None:
                method, share = then
                value = merge_method(method)(value, self._backbone[tensor], share)
            # an interrupt between these lines leaves a tensor that is known to be wrong
            self._in_force[tensor] = _UNKNOWN
            self._parameters[tensor].copy_(value)
            if then is None:
                del self._in_force[tensor]
            else:
                self._in_force[tensor] = then

    def _in_scope(self, tensor: TextTensor) -> bool:
        return self.weights == "text" or (
            self.vlm.family.projection_of(tensor.name) in self.projections
        )

    def _require_scope(self, recipe: Recipe) -> None:
        if self.weights == "text":
            return
        beyond = sorted(set(recipe.projections) - set(self.projections))
        if recipe.weights == "text" or beyond:
            what = "whole layers" if recipe.weights == "text" else f"projection {beyond[0]}"
            raise RecipeError(
                f"the recipe merges {what}, which this merge does not hold",
                valid=f"self-attention projections {', '.join(self.projections)}",
            )

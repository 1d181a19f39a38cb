"""A merge applied to a loaded VLM and taken back, bit for bit.

    merge = InMemoryMerge(vlm, Checkpoint.open("models/backbone"))
    with merge.applied(recipe):
        ...    # vlm.model is the merged model here

Going from one recipe to the next changes only the tensors whose share differs. This file must not
know items, scores or how recipes are found.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal

import torch

from merit_interp.errors import RecipeError
from merit_interp.merging.merge_plan import (
    MergePlan,
    Shapes,
    TensorMerge,
    fault_of,
    merge_plan,
    require_made_for,
    shared_tensors,
)
from merit_interp.merging.side_tensors import SideTensors, own_side, read_side
from merit_interp.merging.text_side import open_text_side
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.fingerprints import fingerprint, reference_to
from merit_interp.models.loading import LoadedModel
from merit_interp.models.text_tensors import TextTensor
from merit_interp.recipe import PROJECTIONS, Recipe

Weights = Literal["self_attention", "text", "pattern"]

_UNKNOWN = TensorMerge("", {}, math.nan)
"""In force while a tensor is being written: equal to nothing, so it is written again."""


class InMemoryMerge:
    """Keeps both sides' tensors of the mergeable scope beside a VLM, on its own device.

    Make it while the VLM is unmerged: what it finds in the model is what it restores. Memory is
    twice the scope's weights, three times with a base (for self-attention of a 7B model in bf16
    about 3 GiB, and 1.5 for the base; 24 and 12 for all text layers). With `lean` it is that of
    self-attention whatever the scope: the rest is read from the files whenever it changes, which
    is for who goes through few recipes that change it. Weights are merged in the type that they
    have in memory; with the stored type they are those of `merge` on disk, bit for bit.

    Args:
        vlm: The model that is changed in place.
        backbone: The other side, read tensor by tensor.
        projections: Projections that recipes may merge.
        weights: `self_attention`; `text` or `pattern` for recipes that merge other weights too,
            where tensors whose shapes differ are refused with the recipe that merges them.
        base: The common ancestor, for recipes that name it.
        lean: Keep self-attention alone.

    Raises:
        PairError: The models do not pair.
        CheckpointError: The backbone or base cannot be read or holds NaN.
    """

    def __init__(
        self,
        vlm: LoadedModel,
        backbone: Checkpoint,
        *,
        projections: tuple[str, ...] = PROJECTIONS,
        weights: Weights = "self_attention",
        base: Checkpoint | None = None,
        lean: bool = False,
    ) -> None:
        self.vlm = vlm
        self.projections = projections
        self.weights = weights
        config = vlm.model.config.get_text_config(decoder=True)
        text = open_text_side(backbone, config, vlm.source, role="backbone")
        ancestor = open_text_side(base, config, vlm.source, role="base") if base else None
        self._backbone_fingerprint = fingerprint(backbone)
        self.base = None if base is None else reference_to(base)
        """What a recipe writes down of the base, where there is one."""
        parameters = vlm.text_parameters()
        self._shapes = Shapes(
            vlm={tensor: tuple(parameter.shape) for tensor, parameter in parameters.items()},
            backbone=text.shapes,
            base=ancestor.shapes if ancestor else None,
        )
        self._parameters = {tensor: parameters[tensor] for tensor in self._scope()}
        of_attention = vlm.family.projection_of
        keep = {t for t in self._parameters if not lean or of_attention(t.name)}
        self._originals = own_side(vlm, self._parameters, keep)
        self._backbone = read_side(text, self._parameters, keep)
        self._base: SideTensors | None = None
        if ancestor is not None:
            there = {
                t: p
                for t, p in self._parameters.items()
                if not fault_of(t, self._shapes, vlm.family)
            }
            self._base = read_side(ancestor, there, keep)
        self._in_force: dict[TextTensor, TensorMerge] = {}

    @property
    def in_force(self) -> Mapping[TextTensor, float]:
        """Share of the backbone in every tensor that is not the VLM's own now."""
        return MappingProxyType({tensor: now.share for tensor, now in self._in_force.items()})

    def plan(self, recipe: Recipe) -> MergePlan:
        """What applying the recipe would do; changes nothing.

        Raises:
            RecipeError: The recipe was made for other weights, names a layer that the model lacks,
                an unknown method, or something outside the scope.
            PairError: It merges tensors whose shapes differ.
        """
        self._require_scope(recipe)
        require_made_for(
            recipe,
            vlm=self.vlm.fingerprint,
            backbone=self._backbone_fingerprint,
            base=self.base.fingerprint if self.base else None,
        )
        return merge_plan(recipe, self._shapes, self.vlm.family)

    def apply(self, recipe: Recipe) -> None:
        """Make the model the recipe's, from whatever is in force.

        Raises:
            RecipeError: As `plan`; nothing is changed then.
            PairError: As `plan`.
        """
        self._change_to(self.plan(recipe))

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
    def _change_to(self, wanted: Mapping[TextTensor, TensorMerge]) -> None:
        for tensor in [*self._in_force, *wanted]:
            now, then = self._in_force.get(tensor), wanted.get(tensor)
            if now == then:
                continue
            value = self._originals.of(tensor)
            if then is not None:
                value = then.merged(tensor, value, self._backbone.of(tensor), self._base_of(tensor))
            # an interrupt between these lines leaves a tensor that is known to be wrong
            self._in_force[tensor] = _UNKNOWN
            self._parameters[tensor].copy_(value)
            if then is None:
                del self._in_force[tensor]
            else:
                self._in_force[tensor] = then

    def _base_of(self, tensor: TextTensor) -> torch.Tensor | None:
        if self._base is None or tensor not in self._base.parameters:
            return None
        return self._base.of(tensor)

    def _scope(self) -> tuple[TextTensor, ...]:
        """What recipes may merge: all of self-attention, or what of the layers fits."""
        # a recipe without a base is not kept from what the base lacks
        shapes, family = dataclasses.replace(self._shapes, base=None), self.vlm.family
        if self.weights == "self_attention":
            wanted = (t for t in shapes.vlm if family.projection_of(t.name) in self.projections)
            return shared_tensors(wanted, shapes, family)
        return tuple(
            t for t in shapes.vlm if t in shapes.backbone and not fault_of(t, shapes, family)
        )

    def _require_scope(self, recipe: Recipe) -> None:
        if self.weights != "self_attention":
            return
        beyond = sorted(set(recipe.projections) - set(self.projections))
        if recipe.weights != "self_attention" or beyond:
            is_whole = recipe.weights != "self_attention"
            what = "whole layers" if is_whole else f"projection {beyond[0]}"
            raise RecipeError(
                f"the recipe merges {what}, which this merge does not hold",
                valid=f"self-attention projections {', '.join(self.projections)}",
            )

"""The logit lens: what the options' scores would be if the model ended at a layer.

    layer_log_probs(vlm, reads, batch)     # (items, layers + 1, options), nats

A state goes through the final norm and the output embedding as if the layers above it were not
there (nostalgebraist 2020). What it shows is what can be read off a state in the output's own
terms; a state may hold an answer in terms that only a later layer turns into these. This file must
not know how a state was read.
"""

from __future__ import annotations

import dataclasses

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from merit_interp.lens.module_engine import final_norm
from merit_interp.lens.reads import QueryStates, Reads
from merit_interp.models.loading import LoadedModel
from merit_interp.scoring.batches import Batch, option_log_probs

LayerLogProbs = Float[Tensor, "items states options"]


def lens_logits(loaded: LoadedModel, states: QueryStates) -> Float[Tensor, "queries vocab"]:
    """States through the final norm and the output embedding, as the model's own last state."""
    head = loaded.model.get_submodule(loaded.family.lm_head)
    weight, bias = head.weight, getattr(head, "bias", None)
    assert isinstance(weight, Tensor)
    # not the module itself: it may carry hooks that pick positions
    normed = final_norm(loaded)(states.to(weight.device))
    logits = functional.linear(normed.to(weight.dtype), weight, bias)
    cap = _cap(loaded)
    return logits if cap is None else torch.tanh(logits / cap) * cap


def _cap(loaded: LoadedModel) -> float | None:
    config = loaded.model.config.get_text_config(decoder=True)
    cap = getattr(config, "final_logit_softcapping", None)
    return None if cap is None else float(cap)


def has_plain_logits(loaded: LoadedModel) -> bool:
    """Whether logits are the output embedding's products and nothing after them."""
    return _cap(loaded) is None


@torch.no_grad()
def layer_log_probs(loaded: LoadedModel, reads: Reads, batch: Batch) -> LayerLogProbs:
    """Log-probability of each option at each state, in nats; minus infinity past its last."""
    queries = torch.arange(len(batch.query_rows), device=batch.query_rows.device)
    by_query = dataclasses.replace(batch, query_rows=queries, query_slots=torch.zeros_like(queries))
    found = [
        option_log_probs(lens_logits(loaded, state).to(queries.device)[:, None], by_query)
        for state in reads.states
    ]
    return torch.stack(found, dim=1).cpu()


@torch.no_grad()
def lens_difference(loaded: LoadedModel, reads: Reads, batch: Batch) -> float:
    """Greatest difference of the last state's lens from the model's own logits."""
    own = reads.logits[batch.query_rows, batch.query_slots]
    lens = lens_logits(loaded, reads.states[-1]).to(own.device)
    return float((lens.float() - own.float()).abs().max())

"""One forward, read where answers are: states, heads and attention of every layer.

    reads = read_batch(engine, evaluation, batch, kinds)
    reads.states[-1]    # what enters the final norm, (queries, hidden)

A query is a position that predicts a token of an answer (`scoring.batches`). Only these positions
and sums of attention are kept, so that what is kept is small beside the forward. This file must not
know what is made of what was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from merit_interp.lens.sites import Engine, Listener, Site
from merit_interp.lens.token_kinds import QUESTION, PromptKinds
from merit_interp.lens_records import TOKEN_KINDS
from merit_interp.scoring.batches import Batch
from merit_interp.scoring.evaluation import Evaluation
from merit_interp.tensor_shapes import KeptLogits

QueryStates = Float[Tensor, "queries _"]
AttentionShares = Float[Tensor, "2 items heads kinds"]
"""From the prompt's last token, and mean over the question's tokens, to each kind of token."""


@dataclass(frozen=True, eq=False)
class Reads:
    """What one forward showed; tensors of queries are on the model's device and of its type."""

    logits: KeptLogits
    states: tuple[QueryStates, ...]
    """(layers + 1) what enters the first layer, then what each layer leaves; the last one enters
    the final norm."""
    heads: tuple[QueryStates, ...]
    """(layers) the heads' outputs side by side, before the output projection."""
    attention: tuple[QueryStates, ...]
    """(layers) what the output projection gives."""
    mlps: tuple[QueryStates, ...]
    """(layers) what the MLP gives; empty where the layers have none by that name."""
    shares: tuple[AttentionShares, ...]
    """(layers) on the CPU, in float32."""
    hooks: int
    """Hooks that were asked for, all of which fired."""


@dataclass
class _Kept:
    """What listeners put aside during a forward."""

    at_queries: dict[Site, Tensor] = field(default_factory=dict)
    shares: dict[int, Tensor] = field(default_factory=dict)


def read_batch(
    engine: Engine, evaluation: Evaluation, batch: Batch, kinds: Mapping[int, PromptKinds]
) -> Reads:
    """Run a batch and read it.

    Args:
        engine: Of the evaluation's model.
        evaluation: The prepared items.
        batch: One of its batches.
        kinds: What the tokens of each item's prompt are, by the item's index.

    Raises:
        CheckpointError: A hook did not fire.
    """
    kept = _Kept()
    where = batch.query_rows, batch.kept[batch.query_slots]

    def at_queries(site: Site) -> Listener:
        def listen(value: Tensor) -> None:
            rows, positions = (index.to(value.device) for index in where)
            # a layer may go on to change its state in place
            kept.at_queries[site] = value[rows, positions].clone()

        return listen

    def shares(site: Site) -> Listener:
        def listen(value: Tensor) -> None:
            kept.shares[site.layer] = _shares(value, batch, kinds)

        return listen

    sites = engine.sites
    logits = engine.run(
        evaluation.batch_inputs(batch),
        {site: shares(site) if site.kind == "pattern" else at_queries(site) for site in sites},
    )
    layers = range(evaluation.model.n_layers)

    def of(kind: str) -> tuple[Tensor, ...]:
        found = [kept.at_queries.get(Site(kind, layer)) for layer in layers]
        return tuple(value for value in found if value is not None)

    return Reads(
        logits=logits,
        states=(*of("entering"), kept.at_queries[Site("final")]),
        heads=of("heads"),
        attention=of("attention"),
        mlps=of("mlp") if all(Site("mlp", layer) in sites for layer in layers) else (),
        shares=tuple(kept.shares[layer] for layer in layers),
        hooks=len(sites),
    )


def _shares(
    pattern: Float[Tensor, "rows heads seq keys"], batch: Batch, kinds: Mapping[int, PromptKinds]
) -> AttentionShares:
    """Attention summed over the kinds of tokens, from the answer's position and the question's."""
    found = []
    for item in batch.items:
        # rows of one item begin with the same prompt, and no token sees what comes after it
        row, n_prompt = batch.row_items.index(item), len(kinds[item])
        own = pattern[row, :, :n_prompt, :n_prompt].float()
        kind = kinds[item].to(own.device)
        members = torch.nn.functional.one_hot(kind, len(TOKEN_KINDS)).to(own)
        question = own[:, kind == QUESTION].mean(dim=1)
        found.append(torch.stack([own[:, -1], question]) @ members)
    return torch.stack(found, dim=1).cpu()

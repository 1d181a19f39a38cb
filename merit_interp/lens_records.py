"""What a lens run writes down: readings of layers and heads, and how they were read.

    reading = LensReading.from_row(row)
    reading.layer_log_probs[-1]

Records as in `records`. This file loads no torch and must not know how a model is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from merit_interp.records import Row

TOKEN_KINDS = ("visual", "transcript", "question", "answer", "other")
"""What a prompt's tokens are, for a lens: the video's; the transcript's, which stands in its place
for a model that reads; the question's; what follows it (options, how to answer, the chat template's
end); and what stands before (a system prompt, timestamps)."""

Numbers = Sequence[float]


@dataclass(frozen=True)
class LensReading(Row):
    """What the layers and heads of one model show of one item."""

    item: str
    model: str
    """`vlm`, `merged` or `backbone_transcripts`."""
    layer_log_probs: Sequence[Numbers]
    """(layers + 1, options) log-probability of each option, in nats, through the final norm and
    the output embedding: of what enters the first layer, then of what each layer leaves."""
    n_tokens: Sequence[int]
    """Tokens of each of `TOKEN_KINDS` in the prompt."""
    attention_from_answer: Sequence[Sequence[Numbers]]
    """(layers, heads, TOKEN_KINDS) share of the attention at the prompt's last token."""
    attention_from_question: Sequence[Sequence[Numbers]]
    """(layers, heads, TOKEN_KINDS) the same, mean over the question's tokens."""
    output_change: Sequence[Numbers]
    """(layers whose heads are compared, heads) length of the difference of the head's output from
    the VLM's on the same item, where the answer begins, as a share of the VLM's length; empty for
    other models than the merged one."""
    against: int = -1
    """Index of the wrong option with the greatest score, which direct parts argue against; -1
    where the options are not single tokens, and there are no direct parts."""
    direct_margin: float | None = None
    """Logit of the right option less that of `against`, in nats: what the parts add up to."""
    direct_embedding: float | None = None
    """Part of what enters the first layer."""
    direct_heads: Sequence[Numbers] = ()
    """(layers, heads) part of each head's output."""
    direct_biases: Numbers = ()
    """(layers,) part of the output projection's bias."""
    direct_mlps: Numbers = ()
    """(layers,) part of each MLP's output."""


@dataclass(frozen=True)
class HeadChange(Row):
    """How much merging changed the weights of one head of one layer."""

    layer: int
    head: int
    key_head: int
    """Which of the layer's heads of keys and values it uses."""
    sharing: int
    """How many heads use that one."""
    change: Mapping[str, float]
    """Frobenius norm of the change of its slice of each of q, k, v and o, biases included."""
    share: Mapping[str, float]
    """The same as a share of the VLM's slice's norm; `all` for the four together."""


@dataclass(frozen=True)
class LensPlan(Row):
    """What a lens run reads."""

    n_layers: int
    n_heads: int
    layers: tuple[int, ...]
    """Layers whose heads are masked and compared: the recipe's, or those asked for."""
    models: tuple[str, ...]
    """Models that are read, in order."""
    left_out: Mapping[str, str]
    """Why a model is not read, by its name."""


@dataclass(frozen=True)
class LensCheck(Row):
    """How a model was read, and how far what was read is from what transformers computes."""

    model: str
    engine: str
    """`transformer_lens` or `modules`."""
    why: str
    """Why TransformerLens did not read it, in words; empty where it did or was not asked."""
    hooks: int
    """Hooks asked for, all of which fired in every forward."""
    logit_difference: float
    """Greatest absolute difference of any logit from transformers' own, eager forward."""
    lens_difference: float
    """Greatest absolute difference of the last layer's lens from the model's own logits."""
    direct_difference: float | None
    """Greatest absolute difference of the sum of direct parts from the logit difference, in nats;
    None where there are no direct parts."""
    no_direct: str = ""
    """Why there are no direct parts, in words."""

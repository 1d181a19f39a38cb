"""What is attributed: one number for an item's answer, out of its options' log-probabilities.

    target_values(log_probs, options, "margin")     # (items,), nats

Each is taken among the item's options, so that what the model thinks of all other words plays no
part. `margin` is the option's log-odds against all others together. It differs from
`ItemScore.margin_nats` in that the others are added up and not only the best is taken: where a path
from one video to another changes the best rival, a maximum has a kink, on which integrated
gradients converge slowly.

`log_prob` is the default, for it stops where the model is sure: what makes 99% into 99.99% is no
part of deciding, but a margin pays for it. On 182 items of the embedded world that only one frame
can answer, integrated gradients put that frame first in 98% with `log_prob` and in 93% with
`margin`. This file must not know models or methods.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch

from merit_interp.errors import SettingError
from merit_interp.tensor_shapes import ItemIndices, ItemLogProbs, ItemValues

Target = Literal["log_prob", "margin", "chosen_log_prob", "chosen_margin"]
TARGETS: tuple[Target, ...] = get_args(Target)
"""`log_prob` and `margin` are the right option's; the others are of what the model chose."""
DEFAULT_TARGET = TARGETS[0]


def checked_target(name: str) -> Target:
    """The target of this name.

    Raises:
        SettingError: There is none.
    """
    for target in TARGETS:
        if target == name:
            return target
    raise SettingError(f"no target {name!r}", valid=", ".join(TARGETS))


def target_options(log_probs: ItemLogProbs, answers: ItemIndices, target: Target) -> ItemIndices:
    """The option whose value is attributed: the right one, or the most probable one."""
    return log_probs.argmax(dim=1) if target.startswith("chosen") else answers


def target_values(log_probs: ItemLogProbs, options: ItemIndices, target: Target) -> ItemValues:
    """The target of each item, in nats. Differentiable.

    Args:
        log_probs: Of each option; minus infinity past an item's last option.
        options: Which option of each item.
        target: Log-odds or log-probability of that option among the item's options.
    """
    own = torch.zeros_like(log_probs, dtype=torch.bool).scatter(1, options[:, None], True)
    value = log_probs.gather(1, options[:, None])[:, 0]
    if target.endswith("margin"):
        return value - log_probs.masked_fill(own, -torch.inf).logsumexp(dim=1)
    return value - log_probs.logsumexp(dim=1)

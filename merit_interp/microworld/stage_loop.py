"""One training stage, run to its end from its last checkpoint.

    train_stage(plan, model, model.parameters(), loss_of, folder, watch)

A step's data comes from its number alone, so a run that was killed and resumed ends in the weights
of one that was not. It must not know what is learned, nor from what.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn


@dataclass(frozen=True)
class StagePlan:
    """How long and how fast one stage trains."""

    name: str
    steps: int
    rate: float
    """Peak learning rate, reached after `warmup` steps; a cosine takes it to a twentieth."""
    warmup: int = 100
    batch: int = 64
    checkpoint_every: int = 100


def rate_at(plan: StagePlan, step: int) -> float:
    """The learning rate of one step."""
    if step < plan.warmup:
        return plan.rate * (step + 1) / plan.warmup
    done = (step - plan.warmup) / max(1, plan.steps - plan.warmup)
    return plan.rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))


def save_whole(state: object, path: Path) -> None:
    """Writes a torch file under a temporary name and renames it when whole."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def train_stage(
    plan: StagePlan,
    model: nn.Module,
    trainable: Iterable[nn.Parameter],
    loss_of: Callable[[int], torch.Tensor],
    folder: Path,
    watch: Callable[[], str],
    watch_every: int = 200,
) -> float:
    """Runs one stage to its end, from its last checkpoint if there is one.

    Args:
        plan: The stage's length and rate.
        model: What is checkpointed.
        trainable: The parameters that the optimiser moves.
        loss_of: The loss of step n; it draws its data from n alone, so a resumed run repeats it.
        folder: Where checkpoints are.
        watch: Says in a line how good the model is now.
        watch_every: Steps between two such lines.

    Returns:
        Seconds spent in training, over all calls.
    """
    finished, current = folder / f"{plan.name}.done.pt", folder / f"{plan.name}.pt"
    if finished.exists():
        state = torch.load(finished, weights_only=True)
        model.load_state_dict(state["model"])
        print(f"[{plan.name}] done before: {watch()}", flush=True)
        return float(state["seconds"])
    parameters = list(trainable)
    optimizer = torch.optim.AdamW(parameters, lr=plan.rate, betas=(0.9, 0.98), weight_decay=0.01)
    first, before = 0, 0.0
    if current.exists():
        state = torch.load(current, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first, before = int(state["step"]), float(state["seconds"])
        print(f"[{plan.name}] resumes at step {first}", flush=True)
    begun = time.monotonic()
    for step in range(first, plan.steps):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(plan, step)
        optimizer.zero_grad()
        loss = loss_of(step)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        done = step + 1
        if done % 25 == 0 or done == plan.steps:
            spent = before + time.monotonic() - begun
            print(
                f"[{plan.name}] step {done}/{plan.steps} loss {loss.item():.4f} {spent:.0f} s",
                flush=True,
            )
        if done % plan.checkpoint_every == 0 and done < plan.steps:
            spent = before + time.monotonic() - begun
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            save_whole({**state, "step": done, "seconds": spent}, current)
        if done % watch_every == 0 and done < plan.steps:
            print(f"[{plan.name}] {watch()}", flush=True)
    spent = before + time.monotonic() - begun
    save_whole({"model": model.state_dict(), "step": plan.steps, "seconds": spent}, finished)
    current.unlink(missing_ok=True)
    return spent

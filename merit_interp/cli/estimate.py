"""What `pair --estimate` prints.

    print_estimate("models/vlm", "models/backbone", Workload(), Placement(), tflops=None)

This file must not compute a need; it shows those of `estimates`.
"""

from __future__ import annotations

import dataclasses
from json import dumps

from rich.console import Console
from rich.table import Table

from merit_interp.estimates import (
    MERGED_SHARE,
    TERA,
    TEXT_TOKENS,
    VerbNeeds,
    Workload,
    measured_flops_per_s,
    pair_needs,
)
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.loading import Placement
from merit_interp.models.pair_size import PairSize, pair_size

GIB = 2**30
GIGA = 10**9


def print_estimate(
    vlm: str,
    backbone: str,
    work: Workload,
    placement: Placement,
    *,
    tflops: float | None,
    as_json: bool = False,
) -> None:
    """Size the pair from headers and configs, and print what each verb takes.

    Args:
        vlm: Directory or hub id; weights need not be there, and none are downloaded.
        backbone: Directory or hub id, as `vlm`.
        work: Items, frames, rows, budget.
        placement: Type of the weights; device whose throughput is measured.
        tflops: Sustained throughput in TFLOP/s; measured where not given.
        as_json: Print JSON.
    """
    sides = tuple(Checkpoint.open(source, needs_weights=False) for source in (vlm, backbone))
    size = pair_size(*sides, dtype=placement.torch_dtype, n_tokens=work.n_tokens)
    rate = TERA * tflops if tflops else measured_flops_per_s(placement, width=size.hidden_size)
    needs = pair_needs(size, work)
    if as_json:
        rows = [
            {**dataclasses.asdict(need), "memory_bytes": need.memory_bytes,
             "seconds": need.seconds(rate)}
            for need in needs
        ]  # fmt: skip
        value = {"size": dataclasses.asdict(size), "work": dataclasses.asdict(work),
                 "dtype": placement.dtype, "flops_per_s": rate, "needs": rows}  # fmt: skip
        print(dumps(value, indent=2))
        return
    source = "given" if tflops else f"measured on {placement.device}, products of matrices alone"
    for line in _head(sides, size, work, placement):
        print(line)
    Console().print(_table(needs, rate))
    print(f"throughput {rate / TERA:.3g} TFLOP/s, {source}")
    for line in _assumptions(size, work):
        print(line)


def _head(
    sides: tuple[Checkpoint, ...], size: PairSize, work: Workload, placement: Placement
) -> list[str]:
    read = (
        "the headers of the weights and the configs; no weight was read"
        if size.has_weights
        else "config.json alone, on the meta device; there are no weights here"
    )
    names = (f"{side.source} ({parts.total / GIGA:.2f} G parameters)"
             for side, parts in zip(sides, (size.vlm, size.backbone), strict=True))  # fmt: skip
    cost = size.cost
    return [
        f"{' and '.join(names)}, in {placement.dtype}",
        f"computed from {read}",
        f"{size.vlm.n_layers} text layers of {size.vlm.text_layers / GIGA:.2f} G, of which "
        f"self-attention {size.vlm.attention / GIGA:.2f} G; vision {size.vlm.vision / GIGA:.2f} G",
        f"a prompt of {work.n_tokens} tokens ({work.n_frames} frames of {work.tokens_per_frame}, "
        f"text {TEXT_TOKENS}): {cost.flops / TERA:.3g} TFLOP forward, "
        f"{cost.backward_flops / TERA:.3g} back; {_gib(cost.peak_bytes)} GiB of activations, "
        f"{_gib(cost.kept_bytes)} with gradients",
    ]


def _table(needs: tuple[VerbNeeds, ...], rate: float) -> Table:
    table = Table()
    for name in ("", "weights", "copies", "a row", "rows", "other", "memory, GiB", "PFLOP", "time"):
        table.add_column(name, justify="right" if name else "left")
    for need in needs:
        table.add_row(
            need.verb, _gib(need.weights_bytes), _gib(need.copies_bytes), _gib(need.row_bytes),
            str(need.rows or "-"), _gib(need.other_bytes), _gib(need.memory_bytes),
            _peta(need.flops) if need.flops else "-",
            _time(need.seconds(rate)) if need.flops
            else f"to copy {_gib(need.written_bytes)} GiB",
        )  # fmt: skip
    return table


def _assumptions(size: PairSize, work: Workload) -> list[str]:
    return [
        f"assumed: {work.n_items} items, a video each, {work.asked}, half of them for validation; "
        f"a search of {work.budget} recipes without the pruning after it; a recipe "
        f"of every {MERGED_SHARE}th layer; all else the verbs' defaults.",
        "memory is weights, both sides of what is merged, activations of a batch; the allocator's "
        "slack and the encoder's activations come on top. Attention is a fused kernel's, counted "
        "in full. Other: hidden states that mask goes back to; the process of a merge.",
        "mask holds the backbone too, for items with transcripts. attribute keeps the activations "
        "of every row for gradients: where they do not fit, lower --batch-size. merge needs the "
        "copy's room on disk, and no GPU.",
    ]


def _gib(n_bytes: int) -> str:
    return f"{n_bytes / GIB:.3g}" if n_bytes else "-"


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.2g} s"
    hours = seconds / 3600
    if hours < 2:
        return f"{60 * hours:.0f} min"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:,.0f} days"


def _peta(flops: int) -> str:
    peta = flops / (1000 * TERA)
    return f"{peta:,.0f}" if peta >= 10 else f"{peta:.2g}"

"""What a study of a pair will take, before anything is loaded: memory, operations and time a verb.

    for need in pair_needs(size, Workload(batch_size=8)): need.verb, need.memory_bytes, need.flops

How many forwards a verb makes is asked of its own plan, on an example recipe; what a forward costs
comes from the meta device. This file must not know checkpoints or how an estimate is shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from merit_interp.attribution.blocks import plan_blocks
from merit_interp.attribution.methods import METHODS
from merit_interp.attribution.model_states import model_states
from merit_interp.attribution.settings import AttributionSettings
from merit_interp.masking.layer_sets import plan_sweep
from merit_interp.masking.settings import MaskSettings
from merit_interp.masking.sweep import first_layers
from merit_interp.merging.baselines import baseline_recipes
from merit_interp.merging.recipe_evaluation import EvaluationSettings
from merit_interp.models.loading import Placement
from merit_interp.models.meta_models import ModelParts
from merit_interp.models.pair_size import PairSize
from merit_interp.recipe import ModelReference, Recipe
from merit_interp.scoring_settings import Answers
from merit_interp.search.settings import SearchSettings

TERA = 10**12
TEXT_TOKENS = 128
"""Question, options and chat template."""
MERGED_SHARE = 4
"""The example recipe merges every so many-th layer."""
STREAM_BYTES = 500 * 2**20
"""What a merge on disk may take beside one pair of tensors: the process itself."""
MATRIX_ROWS = 256
MEASURED_S = 0.5


@dataclass(frozen=True)
class Workload:
    """What the verbs would work on; all else is their defaults."""

    n_items: int = 200
    """Items of the file, a video each."""
    n_frames: int = 16
    tokens_per_frame: int = 128
    batch_size: int = 64
    """Rows of a forward."""
    budget: int = SearchSettings().budget
    """Recipes that the search tries."""
    answers: Answers = "letter"
    """What is scored. Generated ones in `evaluate` alone: all else has letters then."""
    circular: bool = False
    """Whether search and evaluation ask in every order of options; all else asks once."""
    n_options: int = 4
    """Options of an item; they count where each takes a row or an order."""
    max_new_tokens: int = 16
    """Of a generated answer."""

    @property
    def rows_asked(self) -> int:
        """Rows of an item in a forward that looks at it once; options have several tokens each."""
        return self.n_options if self.answers == "option_text" else 1

    @property
    def rows_scored(self) -> int:
        """Rows of an item in search and evaluation."""
        return self.n_options if self.circular else self.rows_asked

    @property
    def asked(self) -> str:
        """How items are asked, in words."""
        words = ["one row each"]
        if self.answers == "option_text":
            words = [f"a row for each of {self.n_options} options"]
        if self.circular:
            words = [f"{self.n_options} orders of options in search and evaluate"]
        if self.answers == "generated":
            words.append(f"{self.max_new_tokens} tokens said in evaluate, letters in all else")
        flags = f"--answers {self.answers}{' --circular' if self.circular else ''}"
        return f"{', '.join(words)} ({flags})"

    @property
    def visual_tokens(self) -> int:
        """Of one video."""
        return self.n_frames * self.tokens_per_frame

    @property
    def n_tokens(self) -> int:
        """Of one prompt."""
        return self.visual_tokens + TEXT_TOKENS

    @property
    def n_validation(self) -> int:
        """Items that are kept from the search, on which all other verbs work by default."""
        return max(1, round(self.n_items * SearchSettings().validation_share))

    @property
    def n_search(self) -> int:
        """Items that the search sees."""
        return max(1, self.n_items - self.n_validation)


@dataclass(frozen=True)
class VerbNeeds:
    """What one verb takes on one device."""

    verb: str
    weights_bytes: int
    """The VLM, and the backbone where the verb runs it."""
    copies_bytes: int
    """Both sides' self-attention, kept beside the VLM; `evaluate` reads the rest from the files."""
    row_bytes: int
    """Activations of one row of a batch."""
    rows: int
    other_bytes: int
    flops: int
    """Of the whole run."""
    written_bytes: int = 0
    """To disk."""

    @property
    def memory_bytes(self) -> int:
        """All of it together."""
        activations = self.row_bytes * self.rows
        return self.weights_bytes + self.copies_bytes + activations + self.other_bytes

    def seconds(self, flops_per_s: float) -> float:
        """Time at a throughput."""
        return self.flops / flops_per_s


def pair_needs(size: PairSize, work: Workload) -> tuple[VerbNeeds, ...]:
    """What search, evaluate, mask, attribute and merge take.

    Args:
        size: Of the pair, for prompts of `work.n_tokens`.
        work: Items, frames, rows, budget.
    """
    weights = size.vlm.total * size.bytes_per_weight
    forward = size.cost.flops
    # each video is seen once, whatever is merged
    encoder = size.encoder_flops_per_token * work.visual_tokens
    recipe = _example_recipe(size.vlm.n_layers)
    search, row = SearchSettings(), size.cost.peak_bytes
    tried = work.n_search * (work.budget + 1) + work.n_validation * (search.top + 2)
    scoring = work.rows_scored * forward
    # a token that is generated goes through the text layers once more; its prompt is kept
    saying = work.max_new_tokens if work.answers == "generated" else 0
    evaluating = scoring + scoring * saying // work.n_tokens
    rows = max(work.batch_size, work.rows_scored)
    scored = 2 + len(baseline_recipes(
        recipe, n_layers=size.vlm.n_layers, draws=EvaluationSettings().draws
    ))  # fmt: skip
    attention = _both_sides(size)
    attribution = AttributionSettings()
    return (
        VerbNeeds(
            "search", weights, attention, row, rows, 0,
            tried * scoring + work.n_items * encoder,
        ),
        VerbNeeds(
            "evaluate", weights, attention, row, rows, 0,
            work.n_validation * (scored * evaluating + encoder),
        ),
        VerbNeeds(
            "mask", weights + size.backbone.total * size.bytes_per_weight, attention, row,
            work.batch_size, int(MaskSettings().prefix_gib * 2**30),
            work.n_validation
            * (round(_masked_passes(recipe, size.vlm) * work.rows_asked * forward) + encoder),
        ),
        VerbNeeds(
            "attribute", weights, attention, size.cost.kept_bytes, work.batch_size, 0,
            min(work.n_validation, attribution.limit or work.n_validation)
            * work.rows_asked * _attribution_flops(size, work, recipe, attribution),
        ),
        VerbNeeds(
            "merge", 0, 0, 0, 0, STREAM_BYTES + 2 * _largest_bytes(size), 0,
            written_bytes=size.vlm_stored_bytes,
        ),
    )  # fmt: skip


def _both_sides(size: PairSize) -> int:
    """Self-attention: the VLM's in the type in memory, the backbone's as it is stored."""
    backbone = size.backbone.attention * size.backbone_stored_bytes_per_weight
    return size.vlm.attention * size.bytes_per_weight + backbone


def _largest_bytes(size: PairSize) -> int:
    """Of the biggest tensor that may be merged, as it is stored."""
    return size.vlm.largest * size.vlm_stored_bytes // size.vlm.total


def _example_recipe(n_layers: int) -> Recipe:
    none = ModelReference(source="none", fingerprint="none")
    return Recipe(
        vlm=none, backbone=none, layers=dict.fromkeys(range(0, n_layers, MERGED_SHARE), 0.5)
    )


def _masked_passes(recipe: Recipe, parts: ModelParts) -> float:
    """Full passes of an item in VLM, merged model and backbone; shared beginnings run once."""
    settings = MaskSettings()
    plan = plan_sweep(
        n_layers=parts.n_layers, chosen=tuple(recipe.layers), draws=settings.draws, seed=0
    )
    layers_run = sum(parts.n_layers - first for first in first_layers(plan.sets))
    return 3 * layers_run / parts.n_layers


def _attribution_flops(
    size: PairSize, work: Workload, recipe: Recipe, settings: AttributionSettings
) -> int:
    """Of one item: every model, control and method that a run has by default."""
    states = model_states(
        recipe, n_layers=size.vlm.n_layers, draws=settings.draws,
        randomised=settings.randomised, seed=0,
    )  # fmt: skip
    units = max(1, work.n_frames // size.frames_per_unit)
    encoder = size.encoder_flops_per_token * work.visual_tokens
    total = 0
    for block in plan_blocks(states, settings):
        method = METHODS[block.method]
        passes = method.passes(units, settings.steps or method.default_steps)
        if block.method == settings.method:
            # from the first text layer on: the encoder runs once for either end
            total += passes * (size.cost.flops + size.cost.backward_flops) + 2 * encoder
        elif method.uses_gradients:
            total += passes * (size.cost.flops + size.cost.backward_flops + 2 * encoder)
        else:
            total += passes * (size.cost.flops + encoder)
    return total


def measured_flops_per_s(placement: Placement, *, width: int) -> float:
    """Operations a second of products of matrices as wide as the model, on a device.

    A forward reaches less than this: attention, norms and copies are slower than products.

    Raises:
        SettingError: There is no such device or type.
    """
    device, dtype = placement.torch_device, placement.torch_dtype
    rows = torch.randn(MATRIX_ROWS, width, device=device, dtype=dtype)
    weight = torch.randn(width, 4 * width, device=device, dtype=dtype)

    def product() -> None:
        rows @ weight
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return 2 * MATRIX_ROWS * width * 4 * width / _seconds_each(product)


def _seconds_each(run: Callable[[], None]) -> float:
    """Mean time of a call, warmed up."""
    run()
    count, started = 0, time.perf_counter()
    while (spent := time.perf_counter() - started) < MEASURED_S:
        run()
        count += 1
    return spent / count

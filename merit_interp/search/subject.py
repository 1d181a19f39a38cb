"""What a search works on: a loaded pair, and its items prepared in two parts.

    subject = load_subject(inputs, settings)
    subject.merge.apply(subject.identity.with_layers({2: 0.5}))
    subject.parts["search"].score_batch(0)

This file must not know samplers or the files of a run.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from merit_interp.benchmarks.decoding_settings import DecodingSettings
from merit_interp.benchmarks.items import Item, read_items
from merit_interp.benchmarks.splits import parts_of, split_hash
from merit_interp.errors import ItemError, SettingError
from merit_interp.merging.in_memory import InMemoryMerge
from merit_interp.merging.methods import check_base, merge_method
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.fingerprints import fingerprint, items_digest, reference_to
from merit_interp.models.loading import Placement, load_vlm
from merit_interp.models.pairing import check_pair
from merit_interp.recipe import ItemsReference, Recipe, Scoring
from merit_interp.scoring.evaluation import Evaluation
from merit_interp.search.objective import SKILLS
from merit_interp.search.settings import SPLITS, SearchSettings, Split


@dataclass(frozen=True)
class SearchInputs:
    """The pair, the items, and how the model is run on them.

    Raises:
        SettingError: Answers are generated.
    """

    vlm: str
    """Checkpoint directory or hub id."""
    backbone: str
    """Checkpoint directory or hub id."""
    items: Path
    """items.jsonl."""
    scoring: Scoring = Scoring()
    placement: Placement = Placement()
    batch_size: int = 64
    """Most rows in one forward pass."""
    max_failed: float = 0.0
    """Share of items that may fail to decode before the search is refused."""
    decoding: DecodingSettings = DecodingSettings()
    """How videos are decoded; no number depends on it."""
    base: str | None = None
    """The common ancestor, for a method that needs one: checkpoint directory or hub id."""

    def __post_init__(self) -> None:
        if self.scoring.answers == "generated":
            raise SettingError(
                "a search weighs log-probabilities, which generated answers do not have",
                valid="answers letter or option_text; evaluate can generate",
            )


@dataclass(frozen=True, eq=False)
class Subject:
    """A pair ready to be merged in memory and scored."""

    identity: Recipe
    """The recipe that merges nothing and names the pair and its items."""
    n_layers: int
    """Text layers of the VLM."""
    merge: InMemoryMerge
    parts: Mapping[Split, Evaluation]
    """The prepared items of each split."""

    @property
    def processor_route(self) -> str:
        """Which code made the pixels: `torchvision` or `torch`."""
        return self.parts["search"].processor_route

    @property
    def fingerprints(self) -> dict[str, str]:
        """Digests of both models' weights and of the items, by role."""
        recipe = self.identity
        assert recipe.items is not None  # `load_subject` names them
        return {
            "vlm": recipe.vlm.fingerprint,
            "backbone": recipe.backbone.fingerprint,
            **({"base": recipe.base.fingerprint} if recipe.base else {}),
            "items": recipe.items.sha256,
        }


def fingerprints_of(inputs: SearchInputs) -> dict[str, str]:
    """`Subject.fingerprints` without loading a model."""
    return {
        "vlm": fingerprint(Checkpoint.open(inputs.vlm)),
        "backbone": fingerprint(Checkpoint.open(inputs.backbone)),
        **({"base": fingerprint(Checkpoint.open(inputs.base))} if inputs.base else {}),
        "items": items_digest(inputs.items),
    }


def plan_digest(evaluation: Evaluation) -> str:
    """Digest of what the model is shown: every batch's items, prompts and options, in order."""
    plan = [
        {
            "items": [evaluation.asked[place].item.id for place in batch.items],
            "prompts": batch.input_ids.tolist(),
            "options": batch.answer_tokens.tolist(),
        }
        for batch in evaluation.batches
    ]
    return f"sha256:{hashlib.sha256(json.dumps(plan).encode()).hexdigest()}"


def load_subject(
    inputs: SearchInputs,
    settings: SearchSettings,
    *,
    prepared: Callable[[Split, int, int], None] | None = None,
) -> Subject:
    """Load the pair and prepare the items of both splits.

    Args:
        inputs: Pair, items, and how the model is run.
        settings: Projections and split.
        prepared: Called with a split, items done and all items, while videos are decoded.

    Raises:
        ItemError: The items are faulty, or a split lacks a skill that the objective needs.
        CheckpointError: A model cannot be loaded.
        PairError: The models do not pair.
        RecipeError: The method needs a base and none is given, or the other way round.
        VideoError: More items than `max_failed` cannot be decoded.
    """
    check_base(merge_method(settings.method), inputs.base)
    file = read_items(inputs.items)
    # the whole file, as `evaluate` does, which must find the same videos
    parts = parts_of(file.items, settings.made_split())
    items = {split: _seen_items(parts[split], split, inputs, settings) for split in SPLITS}
    backbone = Checkpoint.open(inputs.backbone)
    # from headers alone, since loading takes minutes
    check_pair(Checkpoint.open(inputs.vlm), backbone)
    vlm = load_vlm(inputs.vlm, placement=inputs.placement)
    base = Checkpoint.open(inputs.base) if inputs.base else None
    merge = InMemoryMerge(vlm, backbone, projections=settings.projections, base=base)
    identity = Recipe(
        vlm=vlm.reference(),
        backbone=reference_to(backbone),
        base=merge.base,
        method=settings.method,
        settings=settings.method_settings,
        projections=settings.projections,
        items=ItemsReference(
            source=str(inputs.items),
            sha256=items_digest(inputs.items),
            split="search",
            scoring=inputs.scoring,
            split_hash=split_hash(parts),
        ),
    )
    # what cannot be merged is found before videos are decoded
    merge.plan(identity.with_layers(dict.fromkeys(range(vlm.n_layers), 1.0)))
    evaluations = {
        split: Evaluation(
            vlm,
            file,
            items[split],
            inputs.scoring,
            batch_size=inputs.batch_size,
            max_failed=inputs.max_failed,
            decoding=inputs.decoding,
            progress=None if prepared is None else functools.partial(prepared, split),
        )
        for split in SPLITS
    }
    return Subject(identity, vlm.n_layers, merge, evaluations)


def _seen_items(
    items: Sequence[Item], split: Split, inputs: SearchInputs, settings: SearchSettings
) -> Sequence[Item]:
    """The items of a part that the objective sees."""
    for skill in SKILLS:
        needed = skill == "reasoning" or settings.penalty > 0
        if needed and not any(item.skill == skill for item in items):
            raise ItemError(
                f"{inputs.items} has no {skill} item in its {split} part",
                valid="items of skill reasoning and perception on several videos each"
                + ("" if skill == "reasoning" else ", or --penalty 0"),
            )
    return [item for item in items if item.skill in SKILLS]

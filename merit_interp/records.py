"""What a run writes down: frozen values, one a line of JSONL, each with the settings behind it.

    score = ItemScore.from_row(row)
    score.margin_nats

Rooms that compute write these; rooms that tabulate and draw read them, and nothing else passes
between the two. This file loads no torch and must not know where a record comes from.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

Skill = Literal["reasoning", "perception", "other"]

# not typing.Self: the suite checks each method by itself, where Self means nothing
AnyRow = TypeVar("AnyRow", bound="Row")


class Row:
    """A record that turns into one JSON object and back."""

    def to_row(self) -> dict[str, Any]:
        """The record as JSON values."""
        return dataclasses.asdict(self)  # type: ignore[call-overload,no-any-return]

    @classmethod
    def from_row(cls: type[AnyRow], row: Mapping[str, Any]) -> AnyRow:
        """The record of a JSON object; keys that the record lacks are an error."""
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
        return cls(**values)


@dataclass(frozen=True)
class ItemScore(Row):
    """One item scored by one model."""

    item: str
    """The item's id."""
    model: str
    """The model's name in this run: `vlm`, `merged`, `uniform_attention_0.5`, ..."""
    recipe: str
    """Merge hash of the recipe in force; `vlm` for the unmerged model."""
    skill: Skill
    category: str
    group: str
    """The video's identity: the cluster of every interval."""
    answer: int
    """Index of the right option."""
    log_probs: tuple[float, ...] = ()
    """Log-probability of each option given the prompt, in nats, the mean over `rotations` where
    there are some; empty where status is failed."""
    status: Literal["ok", "failed", "not_applicable", "unparsed"] = "ok"
    """`not_applicable`: a video control says nothing of this item; `unparsed`: no rule reads an
    option out of what the model said, which is wrong."""
    reason: str | None = None
    """Why the item has no score."""
    item_set: str = ""
    """Name of the item set: `validation`, `longer`, ..."""
    pair: str = ""
    """The item's pair, where its benchmark is built from pairs."""
    pair_part: str = ""
    """Which part of the pair it belongs to."""
    pair_size: int | None = None
    """How many items the whole pair has, where that is known."""
    rotations: tuple[tuple[float, ...], ...] = ()
    """Log-probability of each letter, in nats, with the options in each cyclic order: in rotation r
    the first letter is option r. Empty where options were asked in their own order only."""
    texts: tuple[str, ...] = ()
    """What the model said in each rotation, where answers are generated."""
    parses: tuple[str, ...] = ()
    """The rule of `scoring.answer_parser` that read each text; `none` where no rule did."""
    read: tuple[int | None, ...] = ()
    """Option that each text chooses, by its place in the item's own order."""

    def to_row(self) -> dict[str, Any]:
        """The record as JSON values; fields that came later only where they say something."""
        later = ("pair_size", "rotations", "texts", "parses", "read")
        return {k: v for k, v in super().to_row().items() if v or k not in later}

    @classmethod
    def from_row(cls: type[AnyRow], row: Mapping[str, Any]) -> AnyRow:
        """The record of a JSON object."""
        rotations = tuple(tuple(values) for values in row.get("rotations", ()))
        return super().from_row({**row, "rotations": rotations})

    @property
    def chosen(self) -> int | None:
        """Index of the chosen option; None if the item failed or no answer was read.

        The most probable option (the first, where options tie); where answers are generated the
        one that was read in most rotations (the more probable, where options tie).
        """
        said = [option for option in self.read if option is not None]
        if not self.log_probs or (self.texts and not said):
            return None
        most = max(map(said.count, said), default=0)
        options = [i for i in range(len(self.log_probs)) if said.count(i) == most]
        return max(options, key=lambda i: (self.log_probs[i], -i))

    @property
    def correct(self) -> bool:
        """Whether the right option was chosen; a failed item is not."""
        return self.chosen == self.answer

    @property
    def letters_chosen(self) -> tuple[int | None, ...]:
        """Place of the chosen letter in each rotation; None where no answer was read."""
        n = len(self.log_probs)
        if self.texts:
            return tuple(None if o is None else (o - r) % n for r, o in enumerate(self.read))
        orders = self.rotations or ((self.log_probs,) if self.log_probs else ())
        return tuple(max(range(n), key=lambda i: (order[i], -i)) for order in orders)

    @property
    def right_in_each(self) -> tuple[bool, ...]:
        """Whether the right option was chosen, in each rotation."""
        n = len(self.log_probs)
        return tuple(
            letter == (self.answer - rotation) % n
            for rotation, letter in enumerate(self.letters_chosen)
        )

    @property
    def margin_nats(self) -> float:
        """Right option's log-probability minus the best other's, in nats; NaN if failed."""
        if not self.log_probs:
            return math.nan
        others = [v for i, v in enumerate(self.log_probs) if i != self.answer]
        return self.log_probs[self.answer] - max(others)

    @property
    def probability(self) -> float:
        """Right option's probability among the options; NaN if failed."""
        if not self.log_probs:
            return math.nan
        top = max(self.log_probs)
        return math.exp(self.log_probs[self.answer] - top) / sum(
            math.exp(v - top) for v in self.log_probs
        )

    @property
    def entropy_nats(self) -> float:
        """Entropy of the distribution over the options, in nats; NaN if failed."""
        if not self.log_probs:
            return math.nan
        top = max(self.log_probs)
        total = math.log(sum(math.exp(v - top) for v in self.log_probs)) + top
        return -sum(math.exp(v - total) * (v - total) for v in self.log_probs)


@dataclass(frozen=True)
class ControlScore(ItemScore):
    """One item scored by one model under a video control."""

    video_control: str = ""
    """What was shown in place of the video: `black`, `shuffled`, `evidence_removed`, ..."""

    @classmethod
    def of(cls, score: ItemScore, video_control: str) -> ControlScore:
        """The score of an item on what a control shows."""
        values = {f.name: getattr(score, f.name) for f in dataclasses.fields(score)}
        return cls(**values, video_control=video_control)


@dataclass(frozen=True)
class DecodeReport(Row):
    """What became of one item's video."""

    item: str
    video: str
    """As the items file has it."""
    requested: int
    """Frames asked for."""
    decoded: int = 0
    """Frames that came; fewer where the clip has no more."""
    replaced: int = 0
    """How many of them are the nearest frame that could be decoded."""
    duplicates: int = 0
    """How many of them are, in every pixel, the one before."""
    decoder: str = ""
    """`decord`, `pyav`, `frames` or `array`; empty where the video failed."""
    status: Literal["ok", "short", "damaged", "failed"] = "ok"
    """`short`: the clip has fewer frames. `damaged`: there are problems, and it is used."""
    problems: tuple[str, ...] = ()
    """What was seen to be wrong, or why it failed."""
    seconds: float = 0.0
    """Time that decoding took; next to none where the frames were kept from before."""
    item_set: str = ""
    """Name of the item set in the run."""
    pixels: str | None = None
    """Checksum of the frames, by which a resumed run knows them; empty where there are none, None
    where they are not known."""


@dataclass(frozen=True)
class Trial(Row):
    """One recipe tried by a search, against the unmerged VLM on the same items."""

    number: int
    """Order of proposal, from 0."""
    recipe: str
    """Merge hash."""
    layers: Mapping[str, Any]
    """The recipe's coefficients, as in recipe.json."""
    split: Literal["search", "validation"]
    objective: float
    """J = delta_tr - penalty * max(0, -delta_tp), in the objective's unit."""
    delta_tr: float
    """Mean change on reasoning items, in the objective's unit."""
    delta_tp: float
    """Mean change on perception items, in the objective's unit."""
    delta_tr_accuracy: float
    """Change of reasoning accuracy, a share in [-1, 1]."""
    delta_tp_accuracy: float
    """Change of perception accuracy, a share in [-1, 1]."""
    delta_tr_margin_nats: float | None = None
    """Mean change of the (clipped) margin on reasoning items, in nats."""
    delta_tp_margin_nats: float | None = None
    """Mean change of the (clipped) margin on perception items, in nats."""


@dataclass(frozen=True)
class Provenance(Row):
    """What made a run: enough to make it again."""

    command: tuple[str, ...]
    versions: Mapping[str, str]
    """Version of merit-interp, Python and each library that a number depends on."""
    seed: int
    device: str
    dtype: str
    threads: int
    fingerprints: Mapping[str, str]
    """Fingerprint of each model and items file, by role."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    started_utc: str = ""
    processor: str = ""
    """What made the pixels: `torchvision` (the family's own processor), `torch` or `pillow`."""
    device_map: str | None = None
    """How models were spread over devices; None where each was on `device`."""


@dataclass(frozen=True)
class MaskedSet(Row):
    """Layers whose self-attention a sweep masks together."""

    layers: tuple[int, ...]
    """Ascending; none of them where the model runs as it is."""
    roles: tuple[str, ...]
    """Why it is in the sweep: unmasked, single, chosen, complement, size_matched, first, last or
    head."""
    heads: tuple[int, ...] = ()
    """The only heads that are masked in each of the layers; empty for all of self-attention."""


@dataclass(frozen=True)
class MaskPlan(Row):
    """All sets of a sweep."""

    n_layers: int
    chosen: tuple[int, ...]
    """The layers that are held against the others: the recipe's, or those asked for."""
    sets: tuple[MaskedSet, ...]
    """In the order in which they are masked."""
    n_possible: int
    """How many sets of as many layers as the chosen ones there are, the chosen one counted."""
    seed: int
    """Seed of the drawn sets."""

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> MaskPlan:
        """The plan of a JSON object."""
        sets = tuple(MaskedSet.from_row(entry) for entry in row["sets"])
        return super().from_row({**row, "sets": sets})

    def having(self, role: str) -> tuple[MaskedSet, ...]:
        """The sets of one role."""
        return tuple(entry for entry in self.sets if role in entry.roles)

    @property
    def is_exhaustive(self) -> bool:
        """Whether every set of as many layers as the chosen ones is masked."""
        return len(self.having("size_matched")) == self.n_possible - 1


@dataclass(frozen=True)
class MaskedScores(Row):
    """One batch of items scored by one model with one set of layers masked."""

    model: str
    """`vlm`, `merged` or `backbone_transcripts`."""
    layers: tuple[int, ...]
    heads: tuple[int, ...]
    """As in `MaskedSet`."""
    batch: int
    """Number of the batch in the fixed plan."""
    log_probs: Mapping[str, tuple[float, ...]]
    """Options' log-probabilities by item id, in nats; an item that cannot be masked is left out."""

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> MaskedScores:
        """The record of a JSON object."""
        log_probs = {item: tuple(values) for item, values in row["log_probs"].items()}
        return super().from_row({**row, "log_probs": log_probs})


@dataclass(frozen=True)
class FrameAttribution(Row):
    """How much each unit of one item's video adds to one model's answer."""

    item: str
    item_set: str
    skill: Skill
    category: str
    group: str
    """The video's identity: the cluster of every interval."""
    model: str
    """`vlm`, `merged`, `random_layers_00`, `masked`, `masked_others_00`, `randomised_00`, ..."""
    recipe: str
    """Merge hash of the recipe in force; `vlm` for the unmerged model."""
    condition: str
    """What the model was shown: `video`, or a control (`shuffled`, `reversed`, `black`, ...)."""
    method: str
    baseline: str
    """What stands for the absence of a frame."""
    target: str
    """Which number is attributed, in nats."""
    unit: Literal["frame", "temporal_patch"]
    """What has a score of its own."""
    answer: int
    """Index of the right option."""
    scores: tuple[float, ...] = ()
    """Of each unit in the order shown, in nats; empty where status is failed."""
    standard_errors: tuple[float, ...] = ()
    """Of each score, where the method samples."""
    in_evidence: tuple[bool, ...] = ()
    """Whether each unit, as shown, holds evidence; empty where the item names none."""
    log_probs: tuple[float, ...] = ()
    """Log-probability of each option with all units shown, in nats."""
    value_shown_nats: float | None = None
    """The target with all units shown."""
    value_absent_nats: float | None = None
    """The target with all units absent."""
    steps: int = 0
    """Steps of the path or sampled orders that the scores were computed with."""
    completeness_error: float | None = None
    """|sum of scores - (value shown - value absent)| as a share of that difference, or of 0.1 nats
    where it is smaller."""
    flagged: bool = False
    """Whether the error of a method that promises completeness stayed above the limit."""
    deletion_evidence_nats: float | None = None
    """Drop of the right option's log-probability among the options where the units that hold
    evidence are taken away and all others shown; None where undefined or not measured."""
    deletion_others_nats: float | None = None
    """The same drop where as many other units are taken away; mean over a few draws of them."""
    insertion_evidence_nats: float | None = None
    """Rise, from the baseline, where only the evidence is shown."""
    insertion_others_nats: float | None = None
    """Rise where only as many other units are shown."""
    status: Literal["ok", "failed", "not_applicable"] = "ok"
    reason: str | None = None
    """Why the item has no scores."""

    @property
    def chosen(self) -> int | None:
        """Index of the most probable option (the first, where options tie); None if failed."""
        if not self.log_probs:
            return None
        return max(range(len(self.log_probs)), key=lambda i: (self.log_probs[i], -i))

    @property
    def correct(self) -> bool:
        """Whether the right option was chosen; a failed item is not."""
        return self.chosen == self.answer


@dataclass(frozen=True)
class AttributedItem(Row):
    """What a figure shows of an item: its text, its frames, its evidence."""

    item: str
    item_set: str
    skill: Skill
    category: str
    group: str
    question: str
    options: tuple[str, ...]
    answer: int
    """Index of the right option."""
    starts_s: tuple[float, ...]
    """Start of each sampled frame, in the video's seconds."""
    ends_s: tuple[float, ...]
    """End of each sampled frame."""
    units: tuple[int, ...]
    """Unit of each sampled frame."""
    in_evidence: tuple[bool, ...]
    """Whether each sampled frame shows evidence; empty where the item names none."""
    thumbnails: tuple[str, ...]
    """Each sampled frame as a data URI."""

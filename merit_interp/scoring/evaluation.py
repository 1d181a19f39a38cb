"""The one evaluation loop: items prepared once, then scored by the model as it is now.

    evaluation = Evaluation(vlm, file, file.items, Scoring(answers="letter"))
    before = evaluation.scores("vlm", "vlm")
    with merge.applied(recipe):
        after = evaluation.scores("merged", recipe.merge_hash)

Everything that does not depend on the text weights is done when the evaluation is made: decoding,
prompts, visual features, batches. Scoring is then one forward a batch. This file must not know
recipes, searches or merges.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from merit_interp.benchmarks.decoding import ItemVideos, refuse_failures
from merit_interp.benchmarks.decoding_settings import DecodingSettings
from merit_interp.benchmarks.items import Item, ItemFile
from merit_interp.benchmarks.video_controls import NO_EVIDENCE, NotApplicable, VideoControl
from merit_interp.benchmarks.videos import Video
from merit_interp.errors import ItemError, NotANumberError, VideoError
from merit_interp.models.loading import LoadedModel
from merit_interp.models.processors import VideoProcessor, video_processor_for
from merit_interp.recipe import Scoring
from merit_interp.records import ItemScore
from merit_interp.scoring.batches import Batch, option_log_probs, plan_batches
from merit_interp.scoring.encoding import EncodedItem, encode_item, encode_transcript, see_video
from merit_interp.scoring.fitting import Fitting
from merit_interp.scoring.generation import generate_answers
from merit_interp.scoring.option_orders import by_rotation, in_orders, mean_log_probs
from merit_interp.scoring.read_answers import with_answers
from merit_interp.scoring.visual_cache import (
    VisualCache,
    check_feature_count,
    encoder_outputs,
    features_key,
    n_bytes,
    visual_features,
)
from merit_interp.tensor_shapes import ItemLogProbs

Progress = Callable[[int, int], None]
"""Told how many are done, and of how many."""


class Evaluation:
    """Items prepared for one model.

    Args:
        model: The VLM; with `transcripts`, any model that reads.
        item_file: Where the items are from; their videos lie beside it.
        items: Which of its items, in the order that scores come in.
        scoring: Prompt and frames.
        batch_size: Most rows in one forward.
        cache_budget_gib: Memory for visual features, in GiB; what does not fit goes to disk.
        max_failed: Share of items that may fail.
        transcripts: Ask about each item's transcript in place of its video.
        decoding: How videos are decoded; the defaults if not given.
        control: What is shown in place of each video; the video itself if not given.
        cache_directory: Where features that do not fit go; a temporary directory if not given.
        progress: Told how many items are prepared.

    Raises:
        FailedItemsError: More items than `max_failed` failed.
        ItemError: There are no items.
        CheckpointError: The checkpoint's processor or tokenizer does not serve.
    """

    def __init__(
        self,
        model: LoadedModel,
        item_file: ItemFile,
        items: Sequence[Item],
        scoring: Scoring,
        *,
        batch_size: int = 64,
        cache_budget_gib: float = 2.0,
        max_failed: float = 0.0,
        transcripts: bool = False,
        decoding: DecodingSettings | None = None,
        control: VideoControl | None = None,
        cache_directory: Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        if not items:
            raise ItemError(f"no items of {item_file.path} are left to score")
        self.model = model
        self.item_file = item_file
        self.items = tuple(items)
        self.asked = in_orders(self.items, circular=scoring.circular)
        """The items, then their further orders of options; an item's index is its place here."""
        self.scoring = scoring
        self.videos = ItemVideos(item_file, scoring, decoding)
        """The items' frames."""
        self.failures: dict[int, str] = {}
        """Why an item could not be prepared, by its index."""
        self.not_applicable: dict[int, str] = {}
        """Why the control says nothing of an item, by its index."""
        self.encoded: dict[int, EncodedItem] = {}
        """Prepared items by their place in `asked`, without their pixels."""
        self._control = control
        self._cache = VisualCache(int(cache_budget_gib * 2**30), cache_directory)
        self._keys: dict[int, str] = {}
        self._inputs: dict[Batch, dict[str, Any]] = {}
        self._processor: VideoProcessor | None = None
        if not transcripts:
            self._processor = video_processor_for(model.directory, model.family)
        self._prepare(progress)
        refuse_failures(self.videos, self.items, self.failures, max_failed)
        self._fitting = Fitting(self._parts)
        self.batches = self._plan(self.encoded, batch_size)
        """What one forward takes each; fixed by the items and the batch size."""

    @property
    def processor_route(self) -> str:
        """Which code made the pixels, for the run's provenance: `torchvision`, `torch` or none."""
        return self._processor.route if self._processor else ""

    def _prepare(self, progress: Progress | None) -> None:
        clips: dict[tuple[object, ...], list[int]] = {}
        for place, asked in enumerate(self.asked):
            item = asked.item
            shown = () if self._control is None else self._control.key(item)
            clip = (item.video, item.start_s, item.end_s, item.fps, shown)
            clips.setdefault(clip, []).append(place)
        done = 0
        for places in clips.values():
            if self._processor is None:
                self._encode(places, self._read)
            else:
                self._prepare_clip(self._processor, places)
            done += sum(place < len(self.items) for place in places)
            if progress is not None:
                progress(done, len(self.items))

    def _encode(self, places: Sequence[int], encode: Callable[[Item], EncodedItem]) -> None:
        for place in places:
            try:
                self.encoded[place] = encode(self.asked[place].item)
            except ItemError as error:
                self.failures[self.asked[place].index] = str(error)

    def _read(self, item: Item) -> EncodedItem:
        return encode_transcript(self.model, item, self.scoring)

    def _prepare_clip(self, processor: VideoProcessor, places: Sequence[int]) -> None:
        """Encode the items that ask about one clip; it is decoded and seen once."""
        indices = [self.asked[place].index for place in places]
        try:
            video = self._shown(self.items[indices[0]])
        except VideoError as error:
            self.failures.update(dict.fromkeys(indices, str(error)))
            return
        if isinstance(video, NotApplicable):
            self.not_applicable.update(dict.fromkeys(indices, video.reason))
            return
        seen = see_video(processor, video)
        self._encode(
            places,
            lambda item: encode_item(self.model, processor, item, video, self.scoring, seen),
        )
        encoded = [place for place in places if place in self.encoded]
        if not encoded:
            return
        key = self._cached_features(self.encoded[encoded[0]])
        for place in encoded:
            self._keys[place] = key
            self.encoded[place] = self.encoded[place].without(self.model.family.video_inputs[:1])

    def _shown(self, item: Item) -> Video | NotApplicable:
        """An item's video, or what the control shows in its place."""
        if self._control is None:
            return self.videos.decoded(item)
        if self._control.lacks_evidence(item):
            return NotApplicable(NO_EVIDENCE)
        video = self.videos.decoded(item)
        shown = self._control.shown(item, video)
        return shown if isinstance(shown, NotApplicable) else shown.of(video)

    def _cached_features(self, encoded: EncodedItem) -> str:
        """Key of the visual features of an item, which are in the cache then."""
        key = features_key(self.model, encoded.vision_inputs)
        if key not in self._cache:
            assert encoded.frame_tokens is not None  # it has vision inputs
            features = visual_features(self.model, encoded.vision_inputs)
            kept = encoded.vision_inputs.get(self.model.family.kept_vectors)
            n_vectors = encoded.frame_tokens.n_tokens if kept is None else len(kept)
            check_feature_count(features, n_vectors, self.model.source)
            self._cache.put(key, features)
        return key

    def _plan(self, encoded: Mapping[int, EncodedItem], batch_size: int) -> tuple[Batch, ...]:
        return plan_batches(
            encoded,
            batch_size=batch_size,
            pad_id=self.pad_id,
            device=self.model.device,
            together={place: self.asked[place].index for place in encoded},
        )

    def _parts(self, places: Sequence[int], rows: int) -> tuple[Batch, ...]:
        encoded = {place: self.encoded[place] for place in places}
        return plan_batches(encoded, batch_size=rows, pad_id=self.pad_id, device=self.model.device)

    @property
    def in_own_order(self) -> list[int]:
        """Indices of the prepared items, in the order in which they were prepared."""
        return [place for place in self.encoded if place < len(self.items)]

    def items_of(self, number: int) -> list[Item]:
        """The items of one of `batches`."""
        places = self.batches[number].items
        return [self.items[place] for place in places if place < len(self.items)]

    @property
    def pad_id(self) -> int:
        """Padding is never attended to, but it must not look like a video to the forward."""
        tokenizer, family = self.model.tokenizer, self.model.family
        config = self.model.model.config
        visual = getattr(config, family.video_token_id) if self._processor else None
        candidates = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0, 1)
        return next(int(token) for token in candidates if token is not None and token != visual)

    def batch_of(self, indices: Sequence[int]) -> Batch:
        """One batch of some prepared items; `Batch.items` has their order in it."""
        (batch,) = self._plan({index: self.encoded[index] for index in indices}, sys.maxsize)
        return batch

    def batch_inputs(self, batch: Batch) -> dict[str, Any]:
        """Keyword arguments of the model's forward for a batch, with the features computed before.

        The logits that it returns are those of `Batch.kept`, as `option_log_probs` takes them.
        """
        if batch in self._inputs:
            return dict(self._inputs[batch])
        inputs = self._text_inputs(batch)
        if self._processor is None:
            return inputs
        features = [self._cache.get(self._keys[index]) for index in batch.row_items]
        inputs |= self._vision_inputs([self.encoded[index] for index in batch.row_items])
        inputs["mm_encoder_outputs"] = encoder_outputs(self.model, features)
        # joining hundreds of small tensors takes as long as a small model's forward
        if batch in self.batches and self._cache.reserve(sum(map(n_bytes, features))):
            self._inputs[batch] = inputs
        return dict(inputs)

    def pixel_inputs(self, batch: Batch) -> dict[str, Any]:
        """The same arguments with pixels in place of features, for gradients with respect to them.

        Decodes the batch's videos again. Rows of one batch must have pixels of one shape, or be
        of a family that packs them.
        """
        inputs = self._text_inputs(batch)
        if self._processor is None:
            return inputs
        encoded = {}
        for index in batch.items:
            item = self.asked[index].item
            video = self._shown(item)
            assert not isinstance(video, NotApplicable)  # it is in a batch
            encoded[index] = encode_item(self.model, self._processor, item, video, self.scoring)
        return inputs | self._vision_inputs([encoded[index] for index in batch.row_items])

    def _text_inputs(self, batch: Batch) -> dict[str, Any]:
        return {
            "input_ids": batch.input_ids,
            **batch.token_inputs,
            "logits_to_keep": batch.kept,
            "use_cache": False,
        }

    def _vision_inputs(self, rows: Sequence[EncodedItem]) -> dict[str, Tensor]:
        return {
            name: torch.cat([row.vision_inputs[name] for row in rows]).to(self.model.device)
            for name in rows[0].vision_inputs
        }

    def score_batch(self, number: int) -> list[tuple[int, tuple[float, ...]]]:
        """Score one of `batches` with the model as it is now.

        Returns:
            (index of the item, log-probability of each option in nats), in the batch's order.

        Raises:
            NotANumberError: The model gave NaN.
            SettingError: The device has no room for one item.
        """
        read = self._read_batch(self.batches[number])
        rotations = by_rotation(self.asked, read)
        order = dict.fromkeys(self.asked[place].index for place in read)
        return [(index, mean_log_probs(rotations[index])) for index in order]

    def _read_batch(self, batch: Batch) -> dict[int, tuple[float, ...]]:
        """Log-probability of each option as asked, by the place of what is asked."""
        parts = self._fitting.run(batch, self._log_probs)
        return {place: row for part in parts for place, row in self._checked(*part).items()}

    def _log_probs(self, batch: Batch) -> ItemLogProbs:
        with torch.no_grad():
            logits = self.model.model(**self.batch_inputs(batch)).logits
            return option_log_probs(logits, batch)

    def _checked(self, batch: Batch, log_probs: ItemLogProbs) -> dict[int, tuple[float, ...]]:
        rows = zip(batch.items, log_probs.tolist(), batch.n_options, strict=True)
        read = {place: tuple(row[:n]) for place, row, n in rows}
        for place, values in read.items():
            if any(map(math.isnan, values)):
                raise NotANumberError(
                    f"the model gives NaN for item {self.asked[place].item.id} as "
                    f"{self.model.placement.dtype}",
                    valid="--dtype float32 or bfloat16",
                )
        return read

    def item_scores(
        self,
        log_probs: Mapping[int, tuple[float, ...]],
        model_name: str,
        recipe_hash: str,
        item_set: str = "",
    ) -> list[ItemScore]:
        """Records of all items in their order, those without a score among them.

        Args:
            log_probs: What `score_batch` returned for every batch, by index of the item.
            model_name: The model's name in the run.
            recipe_hash: Merge hash of the recipe in force; `vlm` for none.
            item_set: Name of the items in the run.
        """
        return [
            ItemScore(
                item=item.id,
                model=model_name,
                recipe=recipe_hash,
                skill=item.skill,
                category=item.category,
                group=item.group,
                answer=item.answer,
                log_probs=log_probs[index] if index in self.encoded else (),
                status=self._status(index),
                reason=self.failures.get(index) or self.not_applicable.get(index),
                item_set=item_set,
                pair=item.pair,
                pair_part=item.pair_part,
                pair_size=item.pair_size,
            )
            for index, item in enumerate(self.items)
        ]

    def _status(self, index: int) -> Literal["ok", "failed", "not_applicable"]:
        if index in self.failures:
            return "failed"
        return "not_applicable" if index in self.not_applicable else "ok"

    def scores(
        self,
        model_name: str,
        recipe_hash: str,
        item_set: str = "",
        *,
        progress: Progress | None = None,
    ) -> list[ItemScore]:
        """Score every batch; arguments as `item_scores`, and a callback told of each batch."""
        read: dict[int, tuple[float, ...]] = {}
        texts: dict[int, str] = {}
        for number, batch in enumerate(self.batches):
            if self.scoring.answers == "generated":
                for part, said in self._fitting.run(batch, partial(generate_answers, self)):
                    read |= self._checked(part, said.log_probs)
                    texts |= dict(zip(part.items, said.texts, strict=True))
            else:
                read |= self._read_batch(batch)
            if progress is not None:
                progress(number + 1, len(self.batches))
        rotations = by_rotation(self.asked, read)
        log_probs = {index: mean_log_probs(values) for index, values in rotations.items()}
        scores = self.item_scores(log_probs, model_name, recipe_hash, item_set)
        return with_answers(scores, self.asked, read if self.scoring.circular else {}, texts)

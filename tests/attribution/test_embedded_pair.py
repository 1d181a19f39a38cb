"""What the methods find on the embedded VLM, where it is known which frame must decide.

The items are those of its world that only one frame can answer: one frame of evidence, and the
answer's word in no other frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from merit_interp.attribution.evidence import evidence_metrics
from merit_interp.attribution.frame_scores import FrameScores, attribute_items
from merit_interp.attribution.methods import METHODS
from merit_interp.attribution.model_states import weights_randomised
from merit_interp.attribution.settings import AttributionSettings
from merit_interp.attribution.video_items import VIDEO, VideoItems, VideoSettings
from merit_interp.benchmarks.items import Item, ItemFile, read_items
from merit_interp.microworld import vlm_directory
from merit_interp.microworld.item_sets import write_item_sets
from merit_interp.models.loading import LoadedModel, load_vlm
from merit_interp.recipe import Scoring
from merit_interp.statistics.intervals import clustered_mean

SCORING = Scoring(answers="option_text", max_frames=16)
SETTINGS = AttributionSettings(scoring=SCORING)
FEW = 24


def only_one_frame_can_answer(item: Item) -> bool:
    answer = item.options[item.answer]
    words = (item.transcript or "").replace(".", "").split()
    frames = [round((end - start) * 2) for start, end in item.evidence]
    return sum(frames) == 1 and words.count(answer) <= 1


@pytest.fixture(scope="module")
def embedded() -> LoadedModel:
    return load_vlm(vlm_directory())


@pytest.fixture(scope="module")
def world_items(tmp_path_factory: pytest.TempPathFactory) -> ItemFile:
    paths = write_item_sets(tmp_path_factory.mktemp("world"), seed=5, sizes={"search": 120})
    return read_items(paths["search"])


@pytest.fixture(scope="module")
def videos(embedded: LoadedModel, world_items: ItemFile) -> VideoItems:
    items = [item for item in world_items.items if only_one_frame_can_answer(item)]
    return VideoItems(embedded, world_items, items, "one frame", VideoSettings(SCORING))


def attributed(
    vlm: LoadedModel, videos: VideoItems, places: Sequence[int], method: str
) -> list[FrameScores]:
    sizes = [videos.sizes[place] for place in places]
    found = dict(
        attribute_items(
            vlm, sizes, lambda number: videos.framed(places[number], VIDEO), SETTINGS, method=method
        )
    )
    return [found[number] for number in range(len(places))]


def pointing(videos: VideoItems, places: Sequence[int], found: Sequence[FrameScores]) -> float:
    hits = [
        evidence_metrics(scores.scores, videos.framed(place, VIDEO).in_evidence).pointing
        for place, scores in zip(places, found, strict=True)
    ]
    return float(np.mean(hits))


@pytest.mark.parametrize("method", ["ig", "occlusion"])
def test_the_one_frame_that_can_answer_is_found(
    embedded: LoadedModel, videos: VideoItems, method: str
) -> None:
    places = videos.places[:FEW]
    found = attributed(embedded, videos, places, method)
    assert pointing(videos, places, found) >= 0.9
    if METHODS[method].is_complete:
        assert max(scores.completeness_error for scores in found) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "least"),
    [("ig", 0.95), ("occlusion", 0.95), ("shapley", 0.95), ("ig_pixels", 0.85)],
)
def test_the_one_frame_that_can_answer_is_found_in_most_items(
    embedded: LoadedModel, videos: VideoItems, method: str, least: float
) -> None:
    found = attributed(embedded, videos, videos.places, method)
    print(f"\n{method}: {pointing(videos, videos.places, found):.3f} of {len(found)} items")
    assert len(found) > 100
    assert pointing(videos, videos.places, found) >= least
    if METHODS[method].is_complete:
        errors = np.array([scores.completeness_error for scores in found])
        assert (errors < 0.01).mean() >= 0.99
    if method == "shapley":
        for scores in found:
            difference = scores.value_shown_nats - scores.value_absent_nats
            assert abs(sum(scores.scores) - difference) < 1e-4


@pytest.mark.slow
def test_randomised_weights_lose_the_structure(
    embedded: LoadedModel, world_items: ItemFile, videos: VideoItems
) -> None:
    places = videos.places
    masses = np.zeros((4, len(places)))
    for seed in range(len(masses)):
        with weights_randomised(embedded.model, seed):
            found = attributed(embedded, videos, places, "ig")
        for row, (place, scores) in enumerate(zip(places, found, strict=True)):
            flags = videos.framed(place, VIDEO).in_evidence
            masses[seed, row] = evidence_metrics(scores.scores, flags).excess_mass
    groups = [videos.items[place].group for place in places]
    interval = clustered_mean(masses.mean(axis=0), groups)
    print(f"\nexcess mass {interval.estimate:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})")
    assert interval.low <= 0 <= interval.high

"""One contract over every sampler, and what is particular to one."""

from __future__ import annotations

import collections
from collections.abc import Callable

import numpy as np
import pytest

from merit_interp.errors import SettingError
from merit_interp.search.samplers import ON_LEVELS, SAMPLERS, Sampler, make_sampler
from merit_interp.search.spaces import Space, Vector

LEVELS = (0.0, 0.25, 0.5, 1.0)
SPACES = {
    "levels": Space(8, levels=LEVELS),
    "two levels": Space(6, levels=(0.0, 1.0)),
    "one layer": Space(1, levels=LEVELS),
    "per projection": Space(3, ("q", "k", "v", "o"), LEVELS, per_projection=True),
    "continuous": Space(8),
    "one continuous layer": Space(1),
}
CASES = [
    pytest.param(name, space, id=f"{name}-{title}")
    for name in SAMPLERS
    for title, space in SPACES.items()
    if space.levels is not None or name not in ON_LEVELS
]
TARGET = np.array([0.0, 0.5, 1.0, 1.0, 0.0, 0.25, 0.5, 1.0] * 2)


def value_of(vector: Vector) -> float:
    """Known best: TARGET. Neighbouring coordinates interact."""
    off = np.abs(np.array(vector) - TARGET[: len(vector)])
    return -float(off.sum() + 0.5 * (off[1:] * off[:-1]).sum())


def proposals(
    sampler: Sampler, count: int, value: Callable[[Vector], float] = value_of
) -> list[Vector]:
    asked = []
    for _ in range(count):
        vector = sampler.ask()
        sampler.tell(vector, value(vector))
        asked.append(vector)
    return asked


@pytest.mark.parametrize(("name", "space"), CASES)
def test_proposals_lie_in_the_space(name: str, space: Space) -> None:
    for vector in proposals(make_sampler(name, space, seed=3), 60):
        assert len(vector) == space.dimension
        assert all(type(share) is float and 0.0 <= share <= 1.0 for share in vector)
        assert space.levels is None or set(vector) <= set(space.levels)


@pytest.mark.parametrize(("name", "space"), CASES)
def test_a_seed_decides_everything(name: str, space: Space) -> None:
    first = proposals(make_sampler(name, space, seed=5), 50)
    # another sampler at work in between shares no state with it
    sampler = make_sampler(name, space, seed=5)
    again = proposals(sampler, 25)
    proposals(make_sampler(name, space, seed=6), 10)
    again += proposals(sampler, 25)
    assert again == first


@pytest.mark.parametrize("name", SAMPLERS)
def test_seeds_differ(name: str) -> None:
    space = SPACES["levels"]
    one, other = (proposals(make_sampler(name, space, seed), 30) for seed in (0, 1))
    assert one != other


@pytest.mark.parametrize(("name", "space"), CASES)
def test_replay_of_what_was_told_proposes_the_same(name: str, space: Space) -> None:
    """What resume rests on: values come from a record, not from the function."""
    record = [(v, value_of(v)) for v in proposals(make_sampler(name, space, seed=7), 40)]
    replayed = make_sampler(name, space, seed=7)
    for vector, value in record:
        assert replayed.ask() == vector
        replayed.tell(vector, value)


@pytest.mark.parametrize(
    ("name", "space"),
    [
        case
        for case in CASES
        if str(case.id).endswith(("-levels", "-continuous")) and case.values[0] != "random"
    ],
)
def test_better_than_random(name: str, space: Space) -> None:
    def best(sampler_name: str) -> float:
        tries = [proposals(make_sampler(sampler_name, space, seed), 120) for seed in range(4)]
        return float(np.mean([max(map(value_of, vectors)) for vectors in tries]))

    assert best(name) > best("random") + 0.3


@pytest.mark.parametrize(("name", "space"), CASES)
def test_vectors_of_others_and_repeats_may_be_told(name: str, space: Space) -> None:
    sampler = make_sampler(name, space, seed=1)
    stranger = space.uniform(1.0)
    for _ in range(30):
        sampler.tell(stranger, -1.0)
        vector = sampler.ask()
        sampler.tell(vector, value_of(vector))
        sampler.tell(vector, value_of(vector))


@pytest.mark.parametrize(("name", "space"), CASES)
def test_several_may_be_asked_before_any_is_told(name: str, space: Space) -> None:
    sampler = make_sampler(name, space, seed=1)
    for _ in range(6):
        vectors = [sampler.ask() for _ in range(5)]
        for vector in reversed(vectors):
            sampler.tell(vector, value_of(vector))


@pytest.mark.parametrize(("name", "space"), CASES)
def test_equal_values_everywhere_do_no_harm(name: str, space: Space) -> None:
    proposals(make_sampler(name, space, seed=0), 80, lambda _: 0.0)


@pytest.mark.parametrize("name", ["greedy", "discrete", "tpe", "cmaes"])
def test_being_told_of_a_good_vector_draws_a_sampler_to_it(name: str) -> None:
    space = SPACES["levels"]
    target = tuple(float(share) for share in TARGET[: space.dimension])
    sampler = make_sampler(name, space, seed=0)
    proposals(sampler, 1)
    for _ in range(5):
        sampler.tell(target, value_of(target))
    near = np.mean([value_of(vector) for vector in proposals(sampler, 60)])
    alone = np.mean([value_of(v) for v in proposals(make_sampler(name, space, seed=0), 60)])
    assert near > alone


def test_greedy_climbs_one_coordinate_at_a_time_then_starts_elsewhere() -> None:
    space = Space(4, levels=(0.0, 1.0))

    def trap(vector: Vector) -> float:
        return sum(vector) if sum(vector) < 2 else -1.0

    vectors = proposals(make_sampler("greedy", space, seed=0), 40, trap)
    assert vectors[0] == (0.0, 0.0, 0.0, 0.0)
    assert all(sum(vector) <= 2 for vector in vectors[:9])
    assert any(sum(vector) > 2 for vector in vectors[9:])


def test_cmaes_reaches_the_ends_of_the_range() -> None:
    """A layer that wants none of the backbone gets exactly 0, and is left out of the recipe."""
    space = Space(8)
    vectors = proposals(make_sampler("cmaes", space, seed=0), 300)
    assert 4 not in space.layers(max(vectors, key=value_of))
    assert sum(vector[7] == 1.0 for vector in vectors) > 30
    assert sum(vector[4] == 0.0 for vector in vectors) > 30


@pytest.mark.parametrize("space", [Space(3), Space(8, levels=(0.0, 0.5, 1.0))])
def test_cmaes_starts_again_where_it_has_converged(space: Space) -> None:
    recipes = collections.Counter(
        tuple(space.layers(v).items()) for v in proposals(make_sampler("cmaes", space, 0), 1500)
    )
    assert len(recipes) > 600


@pytest.mark.parametrize("name", sorted(ON_LEVELS))
def test_a_sampler_on_levels_refuses_a_continuous_space(name: str) -> None:
    with pytest.raises(SettingError, match=r"continuous coefficients; valid: --levels 0,0\.5,1"):
        make_sampler(name, Space(3), seed=0)


def test_an_unknown_sampler_is_refused_with_the_list() -> None:
    with pytest.raises(
        SettingError, match="'anneal' is unknown; valid: cmaes, tpe, discrete, greedy, random"
    ):
        make_sampler("anneal", Space(3), seed=0)

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merit_interp.errors import SettingError
from merit_interp.recipe import PROJECTIONS
from merit_interp.search.spaces import Space


def test_a_vector_names_its_layers_and_leaves_out_the_vlms() -> None:
    space = Space(n_layers=4)
    assert space.layers((0.0, 0.25, 1.0, 0.0)) == {1: 0.25, 2: 1.0}


def test_per_projection_names_each_projection() -> None:
    space = Space(n_layers=2, projections=("q", "v"), per_projection=True)
    assert space.dimension == 4
    assert space.layers((0.0, 0.0, 0.5, 1.0)) == {1: {"q": 0.5, "v": 1.0}}


def test_proposals_that_no_model_can_tell_apart_are_one_recipe() -> None:
    space = Space(n_layers=2)
    assert space.layers((0.50004, 0.04)) == space.layers((0.49996, 0.0)) == {0: 0.5}


def test_a_level_is_kept_however_small() -> None:
    assert Space(2, levels=(0.0, 0.01, 0.1)).layers((0.01, 0.0)) == {0: 0.01}


@given(st.integers(1, 6), st.booleans(), st.lists(st.integers(0, 4), min_size=24, max_size=24))
def test_layers_and_vector_are_inverse(n_layers: int, each: bool, picks: list[int]) -> None:
    levels = (0.0, 0.25, 0.5, 0.75, 1.0)
    space = Space(n_layers, PROJECTIONS, levels, per_projection=each)
    vector = tuple(levels[pick] for pick in picks[: space.dimension])
    assert space.vector(space.layers(vector)) == vector


def test_a_number_stands_for_all_projections_of_its_layer() -> None:
    space = Space(n_layers=2, projections=("q", "k"), per_projection=True)
    assert space.vector({1: 0.5}) == (0.0, 0.0, 0.5, 0.5)
    with pytest.raises(SettingError, match="layer 1 has a coefficient for each projection"):
        Space(n_layers=2).vector({1: {"q": 0.5}})


def test_uniform_vectors_are_those_of_the_space() -> None:
    assert list(Space(2).uniform_vectors()) == [(0.5, 0.5), (1.0, 1.0)]
    assert list(Space(1, levels=(0.0, 0.3, 0.6)).uniform_vectors()) == [(0.3,), (0.6,)]


def test_the_size_of_a_space() -> None:
    assert Space(3).n_points is None
    assert Space(3, levels=(0.0, 0.5, 1.0)).n_points == 27
    assert Space(3, ("q", "k"), (0.0, 1.0), per_projection=True).n_points == 64


@pytest.mark.parametrize(
    "levels", [(), (0.5,), (1.0, 0.0), (0.0, 0.0, 1.0), (-0.5, 0.5), (0.0, 1.5), (0.0, math.nan)]
)
def test_levels_must_rise_within_the_unit_interval(levels: tuple[float, ...]) -> None:
    with pytest.raises(SettingError, match=r"valid: two or more rising numbers from 0 to 1"):
        Space(2, levels=levels)


@pytest.mark.parametrize("projections", [(), ("q", "x"), ("q", "q"), ("k", "q")])
def test_projections_are_a_choice_of_four(projections: tuple[str, ...]) -> None:
    with pytest.raises(SettingError, match="valid: one or more of q,k,v,o"):
        Space(2, projections)

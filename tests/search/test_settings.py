from __future__ import annotations

import json

import pytest

from merit_interp.errors import SettingError
from merit_interp.search.samplers import SAMPLERS
from merit_interp.search.settings import DEFAULT_LEVELS, SearchSettings


def test_samplers_on_levels_get_the_default_ones() -> None:
    assert SearchSettings(sampler="greedy").levels == DEFAULT_LEVELS
    assert SearchSettings(sampler="discrete", levels=(0.0, 1.0)).levels == (0.0, 1.0)
    assert SearchSettings(sampler="tpe").levels is None


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_settings_are_json(sampler: str) -> None:
    settings = SearchSettings(sampler=sampler)
    assert json.loads(json.dumps(settings.to_json())) == settings.to_json()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sampler": "anneal"}, "'anneal' is unknown; valid: cmaes, tpe"),
        ({"budget": 0}, "budget 0; valid: at least 1"),
        ({"top": 0}, "top 0"),
        ({"levels": (1.0, 0.0)}, "levels 1, 0; valid"),
        ({"projections": ("x",)}, "projections x; valid"),
        ({"validation_share": 1.0}, "validation share 1.0"),
        ({"seed": -1}, "seed -1"),
        ({"penalty": -1.0}, "penalty"),
        ({"objective": "loss"}, "objective 'loss'"),
    ],
)
def test_impossible_settings_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        SearchSettings(**fields)  # type: ignore[arg-type]

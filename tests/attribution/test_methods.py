from __future__ import annotations

import itertools

import pytest
import torch
from captum.attr import FeatureAblation
from torch import Tensor

from merit_interp.attribution.methods import METHODS, MethodSettings, UnitScores
from merit_interp.attribution.shapley import MOST_EXACT
from tests.attribution.known_nets import KnownValue, interacting, linear, random_pixels

SETTINGS = MethodSettings(steps=64, rows=7)
WEIGHTS = torch.tensor([[1.0, -2.0, 0.5], [0.0, 0.0, 0.0], [3.0, 1.0, -1.0], [0.2, 0.2, 0.2]])


def scores(name: str, value: KnownValue, settings: MethodSettings = SETTINGS) -> Tensor:
    return METHODS[name].scores(value, settings).scores


def known(items: int = 3) -> KnownValue:
    shown, absent = random_pixels(items, 4)
    return KnownValue(shown, absent, interacting(0.3 * WEIGHTS))


@pytest.mark.parametrize("name", [name for name in METHODS if name != "ig"])
def test_a_linear_nets_scores_are_known_by_hand(name: str) -> None:
    shown, absent = random_pixels(3, 4)
    value = KnownValue(shown, absent, linear(WEIGHTS))
    expected = ((shown - absent) * WEIGHTS).sum(dim=2).double()
    torch.testing.assert_close(scores(name, value), expected, atol=1e-5, rtol=1e-5)


def test_occlusion_is_leave_one_out() -> None:
    value = known()
    expected = torch.zeros(3, 4, dtype=torch.float64)
    for unit in range(4):
        without = value.batch.shown.clone()
        without[:, unit] = value.batch.absent[:, unit]
        expected[:, unit] = value.of_all - value.net(without)
    torch.testing.assert_close(scores("occlusion", value), expected, atol=1e-5, rtol=1e-5)


def test_occlusion_is_captums_own_on_pixels() -> None:
    value = known()
    mask = torch.arange(4).reshape(1, 4, 1)
    by_pixel = FeatureAblation(value.net).attribute(
        value.batch.shown, baselines=value.batch.absent, feature_mask=mask
    )
    torch.testing.assert_close(
        scores("occlusion", value), by_pixel[:, :, 0].double(), atol=1e-5, rtol=1e-5
    )


def test_shapley_is_brute_force() -> None:
    value = known()
    units = range(4)
    expected = torch.zeros(3, 4, dtype=torch.float64)
    orders = list(itertools.permutations(units))
    for order in orders:
        pixels = value.batch.absent.clone()
        before = value.net(pixels)
        for unit in order:
            pixels[:, unit] = value.batch.shown[:, unit]
            after = value.net(pixels)
            expected[:, unit] += (after - before).double() / len(orders)
            before = after
    found = scores("shapley", value)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.sum(dim=1), (value.of_all - value.of_none).double())


def test_shapley_on_eight_frames_sums_to_all_less_none() -> None:
    shown, absent = random_pixels(5, 8, seed=3)
    value = KnownValue(shown, absent, interacting(0.1 * torch.randn(8, 3)))
    missing = scores("shapley", value).sum(dim=1) - (value.of_all - value.of_none).double()
    assert missing.abs().max() < 1e-4


def test_sampled_shapley_says_how_sure_it_is() -> None:
    units = MOST_EXACT + 2
    shown, absent = random_pixels(2, units)
    weights = torch.randn(units, 3, generator=torch.Generator().manual_seed(0))
    value = KnownValue(shown, absent, interacting(0.1 * weights))
    found = METHODS["shapley"].scores(value, MethodSettings(steps=64, rows=32))
    again = METHODS["shapley"].scores(value, MethodSettings(steps=512, rows=32, seed=5))
    assert found.standard_errors is not None
    assert again.standard_errors is not None
    errors = (found.standard_errors**2 + again.standard_errors**2).sqrt()
    assert ((found.scores - again.scores).abs() < 4 * errors).all()
    assert (again.standard_errors.mean() < found.standard_errors.mean()).all()
    torch.testing.assert_close(
        found.scores.sum(dim=1), (value.of_all - value.of_none).double(), atol=1e-4, rtol=1e-4
    )


def test_integrated_gradients_of_a_square_are_known_by_hand() -> None:
    shown, absent = random_pixels(2, 4)
    value = KnownValue(shown, absent, lambda pixels: (pixels * WEIGHTS).sum(dim=(1, 2)) ** 2)
    start, end = ((x * WEIGHTS).sum(dim=(1, 2)) for x in (absent, shown))
    expected = ((shown - absent) * WEIGHTS).sum(dim=2) * (start + end)[:, None]
    torch.testing.assert_close(scores("ig_pixels", value), expected.double(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["ig_pixels", "occlusion", "shapley"])
def test_rows_change_the_memory_and_not_the_scores(name: str) -> None:
    few, many = known(), known()
    first = scores(name, few, MethodSettings(steps=16, rows=3))
    second = scores(name, many, MethodSettings(steps=16, rows=300))
    torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5)
    assert few.most_rows == 3 < many.most_rows


def test_items_of_a_batch_do_not_touch_each_other() -> None:
    together = known(3)
    for name in ("ig_pixels", "gradient", "occlusion", "shapley"):
        found = scores(name, together)
        for item in range(3):
            rows = slice(item, item + 1)
            alone = KnownValue(
                together.batch.shown[rows], together.batch.absent[rows], together.net
            )
            torch.testing.assert_close(scores(name, alone), found[rows], atol=1e-5, rtol=1e-5)


def test_only_sampling_has_standard_errors() -> None:
    found: dict[str, UnitScores] = {
        name: METHODS[name].scores(known(), SETTINGS)
        for name in ("ig_pixels", "gradient", "occlusion", "shapley")
    }
    assert all(scores.standard_errors is None for scores in found.values())

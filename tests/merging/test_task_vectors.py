"""Answers computed by hand for the methods that merge task vectors."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from merit_interp.merging.merge_context import MergeContext
from merit_interp.merging.methods import METHODS, merge_method

#                    only VLM  agree  only VLM  neither  only b.  VLM wins  b. wins
VLM = torch.tensor([[4.0, -3.0, 2.0, 0.5, 0.25, 4.0, 1.0]])
BACKBONE = torch.tensor([[-1.0, -5.0, 0.75, 0.5, 3.0, -6.0, -9.0]])
BASE = torch.tensor([[10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0]])
"""VLM and BACKBONE are task vectors here: the tensors are BASE + them."""


def merged(method: str, share: float, **given: object) -> Tensor:
    context = MergeContext(BASE, given, "layers.0.mlp.up_proj.weight")
    return merge_method(method)(BASE + VLM, BASE + BACKBONE, share, context)


def test_task_arithmetic_is_linear_where_the_weights_sum_to_one() -> None:
    both = merged("task_arithmetic", 0.25)
    torch.testing.assert_close(both, merge_method("linear")(BASE + VLM, BASE + BACKBONE, 0.25))
    assert both.tolist() == [[12.75, 16.5, 31.6875, 40.5, 50.9375, 61.5, 68.5]]


def test_the_additive_form_keeps_the_whole_vlm() -> None:
    assert torch.equal(merged("task_arithmetic", 0.5, keep_vlm=True), BASE + VLM + 0.5 * BACKBONE)
    # which gives up the backbone at 1
    assert torch.equal(merged("task_arithmetic", 1.0, keep_vlm=True), BASE + VLM + BACKBONE)
    assert torch.equal(merged("task_arithmetic", 0.0, keep_vlm=True), BASE + VLM)


def test_lambda_scales_what_is_added_to_the_base() -> None:
    mixed = 0.5 * VLM + 0.5 * BACKBONE
    assert torch.equal(merged("task_arithmetic", 0.5, **{"lambda": 2.0}), BASE + 2 * mixed)


def test_normalize_divides_by_the_weights() -> None:
    wanted = BASE + (VLM + 0.5 * BACKBONE) / 1.5
    torch.testing.assert_close(
        merged("task_arithmetic", 0.5, keep_vlm=True, normalize=True), wanted
    )


def test_ties_trims_elects_and_averages() -> None:
    # 4 of 7 are kept: of the VLM 4, -3, 2, 4; of the backbone -5, 3, -6, -9
    # weighted 3/4 and 1/4, signs are elected: + - + + + (3 - 1.5) and - (the VLM's 1 is trimmed)
    wanted = [4.0, (0.75 * -3 + 0.25 * -5) / 1.0, 2.0, 0.0, 3.0, 4.0, -9.0]
    assert (merged("ties", 0.25, density=0.6) - BASE).tolist() == [wanted]


def test_ties_without_normalisation_keeps_the_weights() -> None:
    wanted = [3.0, -3.5, 1.5, 0.0, 0.75, 3.0, -2.25]
    assert (merged("ties", 0.25, density=0.6, normalize=False) - BASE).tolist() == [wanted]


def test_ties_elects_by_the_weighted_sum() -> None:
    # 4 against -6: with equal weights the backbone wins the entry, with 3/4 the VLM
    assert float((merged("ties", 0.5, density=1.0) - BASE)[0, 5]) == -6.0
    assert float((merged("ties", 0.25, density=1.0) - BASE)[0, 5]) == 4.0
    # a sum of zero counts as positive
    one = torch.ones(1)
    tie = merge_method("ties")(one, -one, 0.5, MergeContext(torch.zeros(1), {"density": 1.0}))
    assert tie.tolist() == [1.0]


def test_of_equal_magnitudes_at_the_border_the_first_are_kept() -> None:
    vector = torch.tensor([1.0, -2.0, 2.0, -2.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    nothing = torch.zeros(10)
    kept = merge_method("ties")(vector, nothing, 0.5, MergeContext(nothing, {"density": 0.3}))
    assert kept.tolist() == [0.0, -2.0, 2.0, -2.0, 0, 0, 0, 0, 0, 0]


def test_at_least_one_entry_is_kept() -> None:
    vector, nothing = torch.tensor([1.0, 3.0, 2.0]), torch.zeros(3)
    kept = merge_method("ties")(vector, nothing, 0.5, MergeContext(nothing, {"density": 0.01}))
    assert kept.tolist() == [0.0, 3.0, 0.0]


@settings(deadline=None, max_examples=40)
@given(values=st.lists(st.integers(-3, 3), min_size=1, max_size=40), density=st.floats(0.01, 1.0))
def test_trimming_keeps_exactly_the_share(values: list[int], density: float) -> None:
    vector, nothing = torch.tensor(values, dtype=torch.float32), torch.zeros(len(values))
    context = MergeContext(nothing, {"density": density})
    kept = merge_method("ties")(vector, nothing, 0.5, context)
    count = max(1, int(density * len(values)))
    order = sorted(range(len(values)), key=lambda at: (-abs(values[at]), at))
    wanted = [v if at in order[:count] else 0 for at, v in enumerate(values)]
    assert kept.tolist() == wanted


@pytest.mark.parametrize("density", [0.1, 0.5, 0.9])
def test_dare_divides_what_it_keeps_by_the_density(density: float) -> None:
    vector, nothing = torch.full((200, 500), 3.0), torch.zeros(200, 500)
    dare = METHODS["dare_linear"]
    context = MergeContext(nothing, {"density": density, "keep_vlm": True}, "x")
    added = dare(nothing, vector, 0.5, context)
    assert added.unique().tolist() == pytest.approx([0.0, 1.5 / density])
    kept = float((added > 0).float().mean())
    assert kept == pytest.approx(density, abs=5 * (density * (1 - density) / 1e5) ** 0.5)
    # so that the expectation is that of the whole vector
    assert float(added.mean()) == pytest.approx(1.5, rel=0.05)
    plain = dare(
        nothing, vector, 0.5, MergeContext(nothing, {**context.settings, "rescale": False}, "x")
    )
    assert plain.unique().tolist() == [0.0, 1.5]
    assert torch.equal(plain > 0, added > 0)


def test_dare_draws_each_side_by_itself() -> None:
    vector, nothing = torch.ones(10_000), torch.zeros(10_000)
    dare = METHODS["dare_linear"]
    both = dare(vector, vector, 0.5, MergeContext(nothing, {"rescale": False}))
    shares = [float((both == value).float().mean()) for value in (0.0, 0.5, 1.0)]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.03)


def test_dare_ties_keeps_what_has_the_elected_sign() -> None:
    vector, nothing = torch.ones(10_000), torch.zeros(10_000)
    dare = METHODS["dare_ties"]
    both = dare(vector, -vector, 0.25, MergeContext(nothing, {"density": 0.5}))
    # kept by both: the VLM wins by weight; by one: that one; by none: the base
    assert both.unique().tolist() == [-0.5, 0.0, 1.5]
    shares = [float((both == value).float().mean()) for value in (-0.5, 0.0, 1.5)]
    assert shares == pytest.approx([0.25, 0.25, 0.5], abs=0.03)


def test_with_density_1_dare_is_its_plain_method() -> None:
    for name, plain in (("dare_linear", "task_arithmetic"), ("dare_ties", "ties")):
        normalize = METHODS[name].settings["normalize"]
        wanted = {"normalize": normalize, **({"density": 1.0} if plain == "ties" else {})}
        assert torch.equal(merged(name, 0.3, density=1.0), merged(plain, 0.3, **wanted))


def test_draws_are_those_of_every_machine() -> None:
    # the first draws of a name, written down: a change of them would change published merges
    ones, nothing = torch.ones(24), torch.zeros(24)
    context = MergeContext(nothing, {"rescale": False, "keep_vlm": True}, "layers.0.a.weight")
    kept = METHODS["dare_linear"](nothing, ones, 1.0, context)
    assert "".join(str(int(entry)) for entry in kept.tolist()) == "111101101111101100000010"

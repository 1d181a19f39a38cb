from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from merit_interp.benchmarks.items import Item
from merit_interp.scoring.batches import option_log_probs, plan_batches
from merit_interp.scoring.encoding import EncodedItem


def encoded(n_prompt: int, *options: tuple[int, ...]) -> EncodedItem:
    item = Item("q", "a.mp4", "?", tuple(map(str, range(len(options)))), 0, "other")
    ids = torch.arange(10, 10 + n_prompt)
    types = (ids % 2) + 1
    return EncodedItem(item, ids, options, {}, {"types": types}, None)


def test_options_of_one_token_share_the_prompts_row() -> None:
    (batch,) = plan_batches({7: encoded(3, (1,), (2,), (3,))}, batch_size=4, pad_id=0)
    assert batch.input_ids.tolist() == [[10, 11, 12]]
    assert batch.items == (7,)
    assert batch.kept.tolist() == [2]
    assert batch.n_options == (3,)


def test_an_option_of_several_tokens_has_its_own_row_without_its_last_token() -> None:
    items = {0: encoded(3, (1, 2, 3), (4,), (5, 6)), 1: encoded(2, (7,), (8,))}
    (batch,) = plan_batches(items, batch_size=8, pad_id=0)
    assert batch.items == (1, 0)
    assert batch.row_items == (1, 0, 0, 0)
    assert batch.lengths == (2, 3, 5, 4)
    assert batch.input_ids.tolist() == [
        [10, 11, 0, 0, 0],
        [10, 11, 12, 0, 0],
        [10, 11, 12, 1, 2],
        [10, 11, 12, 5, 0],
    ]
    assert batch.token_inputs["types"].tolist() == [
        [1, 2, 0, 0, 0],
        [1, 2, 1, 0, 0],
        [1, 2, 1, 0, 0],
        [1, 2, 1, 0, 0],
    ]
    assert batch.kept.tolist() == [1, 2, 3, 4]


def test_log_probabilities_are_read_where_each_token_is_predicted() -> None:
    items = {0: encoded(3, (1, 2, 3), (4,), (5, 6)), 1: encoded(2, (7,), (8,))}
    (batch,) = plan_batches(items, batch_size=8, pad_id=0)
    logits = torch.randn(4, 5, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    full = logits.log_softmax(-1)
    scores = option_log_probs(logits[:, batch.kept], batch)
    expected = [
        [full[0, 1, 7], full[0, 1, 8], -torch.inf],
        [
            full[2, 2, 1] + full[2, 3, 2] + full[2, 4, 3],
            full[1, 2, 4],
            full[3, 2, 5] + full[3, 3, 6],
        ],
    ]
    torch.testing.assert_close(scores, torch.tensor(expected, dtype=torch.float32))


def test_absent_options_leave_gradients_finite() -> None:
    items = {0: encoded(3, (1,), (2,), (3,)), 1: encoded(3, (1,), (2,))}
    (batch,) = plan_batches(items, batch_size=8, pad_id=0)
    logits = torch.zeros(2, 1, 5, requires_grad=True)
    option_log_probs(logits, batch)[1].softmax(-1)[0].backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[0].abs().sum() == 0


@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.lists(st.integers(1, 3), min_size=2, max_size=4)),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 6),
)
def test_every_item_is_in_one_batch_and_batches_go_by_length(
    shapes: list[tuple[int, list[int]]], batch_size: int
) -> None:
    items = {
        index: encoded(n_prompt, *(tuple(range(n)) for n in sizes))
        for index, (n_prompt, sizes) in enumerate(shapes)
    }
    batches = plan_batches(items, batch_size=batch_size, pad_id=0)
    assert sorted(index for batch in batches for index in batch.items) == list(items)
    lengths = [batch.input_ids.shape[1] for batch in batches]
    assert lengths == sorted(lengths)
    for batch in batches:
        assert len(batch.row_items) <= batch_size or len(batch.items) == 1
        assert len(batch.input_ids) == len(batch.row_items) == len(batch.lengths)


def test_the_plan_does_not_depend_on_the_order_of_preparation() -> None:
    items = {index: encoded(2 + index % 3, (1,), (2,)) for index in range(9)}
    plans = [
        [batch.items for batch in plan_batches(order, batch_size=4, pad_id=0)]
        for order in (items, dict(reversed(items.items())))
    ]
    assert plans[0] == plans[1]


def test_no_items_no_batches() -> None:
    assert plan_batches({}, batch_size=4, pad_id=0) == ()


def test_a_batch_is_fixed() -> None:
    (batch,) = plan_batches({0: encoded(2, (1,), (2,))}, batch_size=4, pad_id=0)
    with pytest.raises(AttributeError):
        batch.items = (1,)  # type: ignore[misc]

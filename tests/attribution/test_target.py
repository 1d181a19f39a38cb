from __future__ import annotations

import pytest
import torch

from merit_interp.attribution.target import TARGETS, checked_target, target_options, target_values
from merit_interp.errors import SettingError

LOG_PROBS = torch.tensor([[-1.0, -2.0, -3.0], [-4.0, -1.0, -torch.inf]])
ANSWERS = torch.tensor([1, 0])


def test_values_by_hand() -> None:
    p = LOG_PROBS.exp()
    share = p / p.sum(dim=1, keepdim=True)
    right = share.gather(1, ANSWERS[:, None])[:, 0]
    log_prob = target_values(LOG_PROBS, ANSWERS, "log_prob")
    margin = target_values(LOG_PROBS, ANSWERS, "margin")
    torch.testing.assert_close(log_prob, right.log())
    torch.testing.assert_close(margin, (right / (1 - right)).log())


def test_with_two_options_the_margin_is_their_difference() -> None:
    assert target_values(LOG_PROBS, ANSWERS, "margin")[1] == pytest.approx(-3.0)


def test_targets_of_the_chosen_option() -> None:
    assert target_options(LOG_PROBS, ANSWERS, "chosen_margin").tolist() == [0, 1]
    assert target_options(LOG_PROBS, ANSWERS, "margin").tolist() == [1, 0]


@pytest.mark.parametrize("target", TARGETS)
def test_missing_options_leave_gradients_finite(target: str) -> None:
    log_probs = LOG_PROBS.clone().requires_grad_()
    target_values(log_probs, ANSWERS, checked_target(target)).sum().backward()
    assert log_probs.grad is not None
    assert torch.isfinite(log_probs.grad).all()


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(SettingError, match="log_prob, margin"):
        checked_target("logit")

from __future__ import annotations

import numpy as np
import pytest

from agents.finiteness import not_finite


def metrics(**changes):
    return {
        "critic_loss": 1.0,
        "policy_loss": 2.0,
        "critic_gradient_norm": 3.0,
        "skipped_steps": 4.0,
        **changes,
    }


def batch(**changes):
    return {
        "observations": np.ones((2, 3), np.float32),
        "rewards": np.zeros(2, np.float32),
        "task": np.arange(2),
        **changes,
    }


def test_a_batch_that_is_not_finite_is_named_as_the_only_cause():
    rewards = np.array([1.0, np.inf], np.float32)
    said = not_finite(batch(rewards=rewards), metrics(critic_loss=np.nan))
    assert said == "rewards in the batch from replay"


@pytest.mark.parametrize(
    ("measured", "named"),
    [
        (metrics(critic_loss=np.inf, critic_gradient_norm=np.nan), "critic_loss"),
        (metrics(critic_gradient_norm=np.nan), "critic_gradient_norm"),
        (metrics(q_value=np.nan), "q_value"),
        (metrics(), "something that no metric shows"),
    ],
)
def test_for_a_finite_batch_the_first_effect_and_the_largest_number_are_named(measured, named):
    said = not_finite(batch(rewards=np.array([1.0, -1e30], np.float32)), measured)
    finite = "although the batch is finite: its largest number is 1e+30, among rewards"
    assert said == f"{named}, {finite}"

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest

import iwpa
from iwpa.adapter import Adapter
from iwpa.exchange import Exchange


@pytest.fixture(scope="module")
def environment():
    return iwpa.load("sparse_navigation").snapshot.environment


@pytest.fixture
def exchange(environment):
    """Rewards of training from -1 to 3: up to 2 beyond them is like training."""
    return Exchange(environment, np.array([0.0, 3.0, -1.0], np.float32))


def caught(call, *arguments):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call(*arguments)
    return [str(warning.message) for warning in found]


@pytest.mark.parametrize("reward", [-3.1, 5.1, 20.0])
def test_a_reward_unlike_those_of_training_is_warned_of_once(exchange, reward):
    (message,) = caught(exchange.reward, reward)
    assert f"reward is {reward:g}, and those of training were -1 to 3" in message
    assert caught(exchange.reward, reward) == []


@pytest.mark.parametrize("reward", [-2.9, 0.0, 4.9])
def test_a_reward_like_those_of_training_is_not(exchange, reward):
    assert caught(exchange.reward, reward) == []


def test_without_different_rewards_of_training_nothing_is_unlike_them(environment):
    for trained in (None, np.full(3, 2.0, np.float32)):
        assert caught(Exchange(environment, trained).reward, 1e6) == []


def test_a_log_and_a_reward_function_are_compared_too(exchange):
    log = {
        name: np.zeros((4, 2), np.float32)
        for name in ("observations", "actions", "next_observations")
    }
    own = {**log, "rewards": [0.0, -40.0, 20.0, 1.0]}
    (message,) = caught(exchange.log, own, None)
    assert "log's rewards hold -40," in message


def test_an_adapter_warns_in_the_users_line_and_rewards_count_unscaled():
    trained = iwpa.load("sparse_navigation")
    experience = trained.snapshot.experience
    scaled = dataclasses.replace(experience, rewards=100.0 * experience.rewards)
    snapshot = dataclasses.replace(trained.snapshot, reward_scale=100.0, experience=scaled)
    adapter = Adapter(snapshot)
    adapter.reset(np.zeros(2))
    assert caught(adapter.step, 1.0, np.zeros(2)) == []
    with pytest.warns(UserWarning, match="reward is 20, and those of training were 0 to") as found:
        adapter.step(20.0, np.zeros(2))
    assert found[0].filename == __file__
    adapter = trained.adapter()
    with pytest.warns(UserWarning, match="reward function returned -5,") as found:
        adapter.warm_start(reward=lambda *_: np.full(len(experience.rewards), -5.0))
    assert found[0].filename == __file__

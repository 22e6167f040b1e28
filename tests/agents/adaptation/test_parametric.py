from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from agents.adaptation.methods import make_method
from iwpa.methods.config import AdaptationConfig

PARAMETRIC = ("from_scratch", "distral", "shared_q")
QUICK = {"updates_per_episode": 2, "minibatch": 16}


@pytest.fixture
def eager():
    """Runs functions eagerly: compiling for each of many sizes would take minutes."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize("name", [*PARAMETRIC, "iw"])
def test_a_replica_does_the_same_alone_or_among_others(tools, eager, corridor, name):
    replicas = tools.replicas_of(corridor)[:20]
    together = tools.returns(tools.run(name, corridor, replicas, **QUICK))
    alone = tools.returns(tools.run(name, corridor, replicas[11:12], **QUICK))
    np.testing.assert_allclose(together[:, 11:12], alone, atol=1e-4)


@pytest.mark.parametrize("name", [*PARAMETRIC, "iw"])
def test_episodes_that_end_early_or_break_off_are_learned_from_up_to_their_end(tools, eager, name):
    distribution = tools.Corridor(
        [(0.5, 7, tools.NEVER), (0.5, tools.NEVER, 1), (0.5, tools.NEVER, tools.NEVER)]
    )
    records = tools.run(
        name, distribution, tools.replicas_of(distribution), updates_per_episode=2, minibatch=8
    )
    assert [record.length for record in records[1]] == [7, 0, 20]
    assert np.isfinite(tools.returns(records)).all()


@pytest.mark.parametrize("name", ["distral", "shared_q"])
def test_a_policy_that_starts_as_the_prior_acts_as_the_prior_until_its_first_update(
    tools, corridor, name
):
    replicas = tools.replicas_of(corridor)[:4]
    snapshot = tools.random_snapshot(corridor)
    method = make_method(
        name, snapshot, AdaptationConfig(), replicas, episode_steps=tools.EPISODE_STEPS, run_seed=5
    )
    observations = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    method.begin_episode(observations, [np.random.default_rng(seed) for seed in range(4)])
    noise = np.stack(
        [
            np.random.default_rng(seed).standard_normal((tools.EPISODE_STEPS, 2), np.float32)
            for seed in range(4)
        ]
    )
    np.testing.assert_allclose(
        method.act(), snapshot.prior()(observations).sample(noise[:, 0]), atol=1e-6
    )


@pytest.mark.parametrize(("name", "starts_at"), [("distral", 0.0), ("from_scratch", None)])
def test_the_kl_from_the_prior_is_recorded_where_there_is_one(
    tools, eager, corridor, name, starts_at
):
    first, second = tools.run(
        name,
        corridor,
        tools.replicas_of(corridor)[:2],
        update_period=100,
        policy_learning_rate=1e-2,
        **QUICK,
    )
    assert [record.kl for record in first] == pytest.approx([starts_at, starts_at], abs=1e-6)
    assert all(record.kl is None if starts_at is None else record.kl > 1e-4 for record in second)


def test_a_high_price_keeps_the_policy_at_the_prior(tools, eager, corridor):
    replicas = tools.replicas_of(corridor)[:2]
    options = {
        "updates_per_episode": 20,
        "minibatch": 16,
        "policy_learning_rate": 1e-3,
        "learning_rate": 1e-3,
        "episodes": 3,
    }
    cheap, dear = (
        tools.run("distral", corridor, replicas, kl_cost=price, **options)[-1]
        for price in (0.0, 100.0)
    )
    assert all(high.kl < 0.1 * low.kl for low, high in zip(cheap, dear, strict=True))


def test_from_scratch_learns_from_a_dense_reward(tools):
    distribution = tools.Corridor([(goal, tools.NEVER, tools.NEVER) for goal in (0.9, -0.9, 0.7)])
    curve = tools.returns(
        tools.run(
            "from_scratch",
            distribution,
            tools.replicas_of(distribution),
            episodes=40,
            learning_rate=1e-3,
        )
    )
    ideal = -3.9  # 0.1 closer at each step, from an average distance of 0.8
    assert curve[:5].mean() < -10
    assert curve[-5:].mean() > 0.5 * (curve[:5].mean() + ideal)

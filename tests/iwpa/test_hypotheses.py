from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import iwpa
from agents.adaptation.methods import make_method
from iwpa.method import Transitions
from iwpa.methods.config import AdaptationConfig


@pytest.fixture
def snapshot(tools, corridor):
    random = tools.random_snapshot(corridor)
    stream = np.random.default_rng(0)
    shape = random.weights["heads"].shape
    drawn = {
        name: stream.normal(size=shape).astype(np.float32) for name in ("heads", "reward_heads")
    }
    noise = {"reward_variance": np.float32([0.25])}
    return dataclasses.replace(random, weights={**random.weights, **drawn, **noise})


def make(snapshot, replicas):
    return make_method(
        "shared_q_iw_hypotheses",
        snapshot,
        AdaptationConfig(action_samples=16),
        replicas,
        episode_steps=4,
        run_seed=5,
    )


def test_one_proposal_in_four_is_the_priors_and_the_rest_are_the_followed_experts(
    snapshot, tools, corridor
):
    method = make(snapshot, tools.replicas_of(corridor)[:2])
    observations = np.random.default_rng(1).normal(size=(2, 3)).astype(np.float32)
    method.begin_episode(observations, [np.random.default_rng(seed) for seed in range(2)])
    proposals, head = method._proposals, method.critic.head
    noise = proposals._noise[:, 0]
    prior = snapshot.prior()(observations)
    expert = snapshot.expert()(observations, head.tasks[head.followed])
    for index in range(16):
        policy = expert if index % 4 else prior
        expected = policy.mean + policy.std * noise[:, index]
        np.testing.assert_allclose(proposals.actions[:, 0, index], expected, atol=1e-6)
    features = proposals.features_of(observations, proposals.actions[:, 0, 3])
    np.testing.assert_allclose(proposals.features[:, 0, 3], features, atol=1e-5)


def test_after_five_episodes_without_a_find_the_prior_acts_in_every_third_until_one(
    snapshot, tools, corridor
):
    method = make(snapshot, tools.replicas_of(corridor)[:2])
    observations = np.random.default_rng(1).normal(size=(2, 3)).astype(np.float32)
    streams = [np.random.default_rng(seed) for seed in range(2)]
    active, led = np.ones(2, bool), []
    for _ in range(12):
        method.begin_episode(observations, streams)
        proposals, prior = method._proposals, snapshot.prior()(observations)
        expected = prior.mean[:, None] + prior.std[:, None] * proposals._noise[:, 0]
        led.append(np.isclose(proposals.actions[:, 0], expected, atol=1e-6).all(axis=(1, 2)))
        method.act()
        np.testing.assert_allclose(method._kl == 0.0, led[-1])
        # The second replica's last reward differs from those before: a find.
        rewards = np.array([0.0, 1.0 if len(led) == 9 else 0.0])
        method.observe(Transitions(rewards, np.full(2, 0.9), observations, active))
        method.end_episode(streams)
    episodes = np.array(led)
    assert np.flatnonzero(episodes[:, 0]).tolist() == [5, 8, 11]
    assert np.flatnonzero(episodes[:, 1]).tolist() == [5, 8]


def test_where_only_successes_pay_it_acts_as_the_followed_expert(snapshot, tools, corridor):
    paid = {"payments": np.float32([0.01, 0.01, 0.1])}
    snapshot = dataclasses.replace(snapshot, weights={**snapshot.weights, **paid})
    assert snapshot.success() == pytest.approx(10.0 * snapshot.reward_scale)
    method = make(snapshot, tools.replicas_of(corridor)[:2])
    method.begin_episode(np.zeros((2, 3), np.float32), [np.random.default_rng(s) for s in (0, 1)])
    chosen = set()
    for uniform in np.linspace(0.0, 0.999, 200):
        method._proposals._uniforms[:] = uniform
        method.act()
        chosen |= set(method._choices.tolist())
    assert chosen == {index for index in range(16) if index % 4}
    policy, head = method.frozen(1), method.critic.head
    assert policy.expert_alone
    assert chosen == set(np.flatnonzero(policy.from_expert))
    followed = snapshot.weights["embedding"][head.tasks[head.followed[1]]]
    np.testing.assert_array_equal(policy.expert, followed)


def test_where_steps_pay_and_experts_see_descriptions_it_acts_as_the_followed_expert(
    snapshot, tools, corridor
):
    replicas = tools.replicas_of(corridor)[:2]
    paying = dataclasses.replace(
        snapshot, weights={**snapshot.weights, "payments": np.float32([0.5, 0.0, 0.0])}
    )
    assert paying.pays()
    assert not make(paying, replicas).frozen(0).expert_alone
    reach = iwpa.load("reach").snapshot
    assert make(reach, replicas).frozen(0).expert_alone
    unpaid = {**reach.weights, "payments": np.zeros(3, np.float32)}
    assert not make(dataclasses.replace(reach, weights=unpaid), replicas).frozen(0).expert_alone


@pytest.mark.parametrize(
    ("payments", "success"),
    [
        ([0.0, 0.0, 0.0], 0.0),  # Nothing has paid.
        ([0.2, 0.01, 0.1], 0.0),  # Most of what paid did not end the episode.
        ([0.01, 0.01, 0.03], 3.0),
    ],
)
def test_a_success_is_what_alone_pays_and_ends_episodes(snapshot, payments, success):
    weights = {**snapshot.weights, "payments": np.float32(payments)}
    paid = dataclasses.replace(snapshot, weights=weights, reward_scale=0.5).success()
    assert paid == pytest.approx(0.5 * success)


def test_a_task_refuted_within_an_episode_is_abandoned_at_once(snapshot, tools, corridor):
    method = make(snapshot, tools.replicas_of(corridor)[:2])
    streams = [np.random.default_rng(seed) for seed in range(2)]
    method.begin_episode(np.zeros((2, 3), np.float32), streams)
    head = method.critic.head
    before = head.followed.copy()
    # Overwhelming evidence against the task that the first replica follows.
    head._squared_errors[0, before[0]] = 1e3
    method.act()
    ones = np.ones(2, np.float32)
    method.observe(Transitions(0 * ones, ones, np.zeros((2, 3), np.float32), ones > 0))
    assert head.followed[0] != before[0]


def test_a_snapshot_without_reward_heads_is_refused_with_alternatives(tools, corridor):
    snapshot = tools.random_snapshot(corridor)
    old = {name: value for name, value in snapshot.weights.items() if "reward_" not in name}
    with pytest.raises(ValueError, match="without reward heads: train it again, or adapt with"):
        make(dataclasses.replace(snapshot, weights=old), tools.replicas_of(corridor)[:1])


def test_the_temperature_is_calibrated_at_each_state_from_the_first_on(snapshot, tools, corridor):
    method = make(snapshot, tools.replicas_of(corridor)[:2])
    method.begin_episode(np.zeros((2, 3), np.float32), [np.random.default_rng(s) for s in (0, 1)])
    ones = np.ones(2, np.float32)
    for step in range(3):
        method.act()
        np.testing.assert_allclose(method._kl, AdaptationConfig().kl_bound, atol=1e-3)
        method.observe(Transitions(0 * ones, ones, np.full((2, 3), 0.3 * step), ones > 0))

"""Adaptation by the recurrent agents."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from tiny_distribution import Line

import iwpa
from agents.adaptation.methods import known, make_method, served_by
from agents.agent import make_agent
from agents.networks import export_weights
from environments import EnvironmentBatch, TrialBatch
from iwpa.method import Transitions
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.recurrent import PearlMethod, RL2Method
from iwpa.recurrent_networks import NumpyRecurrentPolicy

_AGENTS = ("rl2", "pearl")


@pytest.fixture(scope="session")
def snapshot_of(tools):
    """Makes a snapshot of an agent with random weights."""

    def make(agent, distribution):
        snapshot = tools.random_snapshot(distribution)
        spec = dataclasses.replace(
            snapshot.spec, action_size=EnvironmentBatch(distribution, 1).action_size
        )
        networks = make_agent(agent).make_networks(spec, snapshot.networks)
        stream = np.random.default_rng(0)
        for variable in networks.variables:
            variable.assign(stream.normal(0.0, 0.4, variable.shape))
        return dataclasses.replace(
            snapshot, spec=spec, agent=agent, weights=export_weights(networks)
        ), networks

    return make


def _returns(tools, snapshot, distribution, replicas, episodes=4):
    method = make_method(
        snapshot.agent,
        snapshot,
        AdaptationConfig(episodes=episodes),
        replicas,
        episode_steps=20,
        run_seed=5,
    )
    return tools.returns(tools.adapted(method, distribution, replicas, episodes, reward_scale=0.5))


def _transitions(result, environments):
    return Transitions(
        0.5 * result.rewards, result.discounts, environments.observations, np.ones(1, bool)
    )


@pytest.mark.parametrize("agent", _AGENTS)
def test_a_replica_acts_alike_alone_and_among_others_that_end_early_or_fail(
    agent, snapshot_of, tools
):
    distribution = tools.Corridor(
        [(0.5, tools.NEVER, tools.NEVER), (-0.5, 7, tools.NEVER), (0.1, tools.NEVER, 9)]
    )
    snapshot, _ = snapshot_of(agent, distribution)
    replicas = tools.replicas_of(distribution, seeds=2)
    together = _returns(tools, snapshot, distribution, replicas)
    for row, replica in enumerate(replicas):
        np.testing.assert_allclose(
            _returns(tools, snapshot, distribution, [replica])[:, 0], together[:, row], rtol=1e-4
        )


def test_rl2_gets_the_same_observations_as_in_training_trials(snapshot_of):
    distribution = Line()
    snapshot, _ = snapshot_of("rl2", distribution)
    task = distribution.tasks("test")[0]
    trials = TrialBatch(EnvironmentBatch(distribution, 1), 3, reward_scale=0.5)
    trials.reset(0, task, 0)
    environments = EnvironmentBatch(distribution, 1)
    method = RL2Method(snapshot, 1)
    for episode in range(3):
        environments.reset(0, task, 0)
        method.begin_episode(environments.observations, [np.random.default_rng(episode)])
        last = False
        while not last:
            np.testing.assert_allclose(method._observations, trials.observations, atol=1e-6)
            actions = method.act()
            trials.step(actions)
            result = environments.step(actions)
            method.observe(_transitions(result, environments))
            last = bool(result.last[0])
        assert np.abs(method._states).max() > 0  # never reset


def test_pearl_starts_from_standard_normal_z_and_then_infers_it_from_all_transitions(
    snapshot_of,
):
    distribution = Line()
    snapshot, networks = snapshot_of("pearl", distribution)
    environments, method, rows = EnvironmentBatch(distribution, 1), PearlMethod(snapshot, 1), []
    for episode in range(3):
        environments.reset(0, distribution.tasks("test")[0], 0)
        method.begin_episode(environments.observations, [np.random.default_rng(episode)])
        noise = np.random.default_rng(episode).standard_normal(
            snapshot.networks.latent_size, np.float32
        )
        if not rows:
            np.testing.assert_array_equal(method._latents[0], noise)
        else:
            whole = networks.encoder(
                tf.constant(np.array([[[*row, 1.0] for row in rows]], np.float32))
            )
            np.testing.assert_allclose(method._latents[0], whole.sample(noise)[0], atol=1e-5)
        for step in range(distribution.episode_steps):
            actions = method.act()
            result = environments.step(actions)
            method.observe(_transitions(result, environments))
            rows.append(
                [
                    *environments.observations[0],
                    *np.clip(actions[0], -1, 1),
                    0.5 * result.rewards[0],
                    float(step == 4),
                ]
            )
        method.end_episode([])


def test_a_method_that_the_agent_cannot_serve_is_refused_with_the_flag_to_use():
    assert served_by("rl2") == ("rl2",)
    assert "rl2" not in served_by("multitask")
    with pytest.raises(
        ValueError,
        match=r"shared_q_iw needs a run of --agent=multitask; one of --agent=rl2 serves rl2\.",
    ):
        known(["shared_q_iw"], "rl2")
    with pytest.raises(ValueError, match="pearl needs a run of --agent=pearl"):
        known(["prior", "pearl"], "multitask")
    assert known(["pearl", "pearl"]) == ("pearl",)


def test_contexts_saved_by_an_earlier_version_are_restored(snapshot_of):
    snapshot, _ = snapshot_of("pearl", Line())
    contexts = PearlMethod(snapshot, 2)._contexts
    saved = {
        name: array
        for name, array in contexts.state().items()
        if name not in ("_lowest", "_highest")
    }
    contexts.restore(saved)
    assert not contexts.rewards_differ(1)


def test_an_rl2_policy_of_an_earlier_version_sees_its_memory_alone():
    snapshot = iwpa.load("half_cheetah_velocity_rl2").snapshot
    first, given = "policy/torso/linear_0/w", "policy_lstm/input/w"
    # A memory that takes nothing in, so that only what the policy sees itself can count.
    weights = {**snapshot.weights, given: np.zeros_like(snapshot.weights[given])}
    observations = np.stack([np.zeros(len(weights[given])), np.ones(len(weights[given]))])
    size = snapshot.networks.recurrent_size
    for seen, same in ((weights[first], False), (weights[first][:size], True)):
        policy = NumpyRecurrentPolicy({**weights, first: seen}, snapshot.networks)
        states = np.ones((2, policy.state_size), np.float32)
        means = policy(observations.astype(np.float32), states)[0].mean
        assert np.allclose(means[0], means[1]) == same

"""What every agent must satisfy."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from agents.agent import make_agent
from agents.config import default_config
from agents.learning import Learner
from agents.losses import Costs, Inputs
from agents.registry import AGENTS
from replay.sequence import example_batch

# The groups of online variables that each loss trains; it trains no others.
GRADIENTS = [
    ("multitask", "critic_loss", {"critic"}),
    ("multitask", "policy_loss", {"expert"}),
    ("multitask", "prior_loss", {"prior"}),
    ("rl2", "critic_loss", {"critic"}),
    ("rl2", "policy_loss", {"policy"}),
    ("pearl", "critic_loss", {"critic", "encoder"}),
    ("pearl", "latent_kl", {"encoder"}),
    ("pearl", "policy_loss", {"policy"}),  # z is a constant to the policy
]


def _batch(sequence, seed=0):
    batch = example_batch(sequence, batch_size=32, seed=seed, tasks=2)
    if len(sequence.memory) == 2:
        batch["memory"][..., -1] = np.arange(sequence.memory[0]) < np.arange(32)[:, None] % 11
    return batch


@pytest.mark.parametrize(("agent", "loss", "trained"), GRADIENTS)
def test_each_loss_trains_its_groups_of_variables_alone(agent, loss, trained, configured, tiny):
    config, sequence = configured(agent)
    parts = make_agent(agent)
    online, target = (parts.make_networks(tiny.spec, config.networks) for _ in range(2))
    stream = np.random.default_rng(0)
    for variable in (*online.variables, *target.variables):
        variable.assign(stream.normal(0.0, 0.5, variable.shape))
    batch = {key: tf.constant(value) for key, value in _batch(sequence).items()}
    noise = parts.draw_noise(batch, config, tf.constant([0, 0], tf.int64))
    with tf.GradientTape() as tape:
        costs = Costs(0.0, config.losses.entropy_cost)
        _, metrics = parts.total_loss(online, target, Inputs(batch, noise, costs), config)
    gradients = tape.gradient(
        metrics[loss], list(online.variables), unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    reached = {
        variable.ref()
        for variable, gradient in zip(online.variables, gradients, strict=True)
        if np.any(gradient)
    }
    assert reached == {variable.ref() for group in trained for variable in online.group(group)}


@pytest.mark.parametrize("agent", ["rl2", "pearl"])
def test_recurrent_agents_learn_from_the_training_reward_plus_the_weighted_task_reward(
    agent, configured, tiny
):
    config, sequence = configured(agent)
    parts = make_agent(agent)
    networks = [parts.make_networks(tiny.spec, config.networks) for _ in range(2)]
    batch = _batch(sequence)
    mixed = {**batch, "rewards": batch["rewards"] + np.float32(3.0) * batch["task_rewards"]}

    def losses(batch, weight):
        weighted = dataclasses.replace(
            config, losses=dataclasses.replace(config.losses, task_reward_weight=weight)
        )
        tensors = {key: tf.constant(value) for key, value in batch.items()}
        noise = parts.draw_noise(tensors, weighted, tf.constant([0, 0], tf.int64))
        costs = Costs(0.0, config.losses.entropy_cost)
        _, metrics = parts.total_loss(*networks, Inputs(tensors, noise, costs), weighted)
        return [float(tf.reduce_sum(value)) for value in metrics.values()]

    assert losses(batch, 3.0) == pytest.approx(losses(mixed, 0.0), rel=1e-4)
    assert losses(batch, 3.0) != pytest.approx(losses(batch, 0.0), rel=1e-4)


@pytest.mark.parametrize("agent", AGENTS)
def test_the_groups_hold_every_variable_once(agent, configured, tiny):
    config, _ = configured(agent)
    parts = make_agent(agent)
    networks = parts.make_networks(tiny.spec, config.networks)
    grouped = [variable.ref() for group in parts.groups for variable in networks.group(group)]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {variable.ref() for variable in networks.trainable_variables}
    assert set(parts.acting_groups) <= set(parts.groups)


@pytest.mark.parametrize("agent", ["rl2", "pearl"])
def test_a_recurrent_learner_that_is_restored_continues_bit_for_bit(agent, configured, tiny):
    config, sequence = configured(agent)
    learner = Learner(make_agent(config.agent), tiny.spec, config, seed=3)
    learner.step(_batch(sequence))
    state = {name: value.copy() for name, value in learner.save().items()}

    def go_on():
        metrics = [learner.step(_batch(sequence, seed)) for seed in (1, 2)]
        return [
            {name: value.numpy() for name, value in part.items()} for part in metrics
        ], learner.save()

    first, first_state = go_on()
    learner.restore(state)
    second, second_state = go_on()
    assert first == second
    assert all(np.isfinite(value) for part in first for value in part.values())
    for name, value in first_state.items():
        assert value.tobytes() == second_state[name].tobytes(), name
        if name.startswith("online/"):
            assert value.tobytes() != state[name].tobytes(), f"{name} does not learn"


@pytest.mark.parametrize(
    ("environment", "episode_steps", "agent", "longer", "share"),
    [
        (
            "sparse_navigation",
            20,
            "rl2",
            1.40625,
            0.2,
        ),  # 0.9 million: it must also learn how to explore
        ("sparse_navigation", 20, "pearl", 0.9375, 0.5),
        ("half_cheetah_velocity", 200, "rl2", 1.0, 0.4),
        ("half_cheetah_velocity", 200, "pearl", 1.0, 0.8),
        *(("other", 700, agent, 1.0, 0.2) for agent in ("rl2", "pearl")),
    ],
)
def test_default_runs_keep_their_ratio_of_environment_steps_to_the_multitask_agents(
    environment, episode_steps, agent, longer, share
):
    configs = [default_config(environment, episode_steps, name) for name in ("multitask", agent)]
    multitask, recurrent = (config.replay for config in configs)
    learned = [config.learner_steps * config.optimiser.batch_size for config in configs]
    ours, theirs = (
        sequences * replay.sequence_length / replay.samples_per_insert
        for sequences, replay in zip(learned, (multitask, recurrent), strict=True)
    )
    assert theirs == pytest.approx(longer * ours, rel=0.01)
    assert recurrent.capacity * recurrent.sequence_length == pytest.approx(
        share * multitask.capacity * multitask.sequence_length, rel=0.01
    )
    assert recurrent.context_length <= max(400, episode_steps)


def test_an_unknown_agent_and_a_critic_that_needs_another_are_refused():
    with pytest.raises(ValueError, match="agent takes one of multitask, rl2, pearl, not 'dqn'"):
        dataclasses.replace(default_config("other", 10), agent="dqn")
    config = default_config("other", 10, "rl2")
    with pytest.raises(ValueError, match="--critic=task_description needs --agent=multitask"):
        dataclasses.replace(
            config, networks=dataclasses.replace(config.networks, critic="task_description")
        )

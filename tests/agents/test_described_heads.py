"""Critics that tell training tasks apart by their descriptions: Q_i = psi(s, a)^T f(g_i)."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from agents.agent import make_agent
from agents.learning import Learner
from agents.multitask.networks import MultiTaskNetworks
from agents.networks import export_weights
from agents.snapshots import write_snapshot
from iwpa import snapshots

DESCRIPTIONS = np.array([[3.0, 0.0], [5.0, -40.0]])


@pytest.fixture
def config(tiny):
    return dataclasses.replace(
        tiny.config, networks=dataclasses.replace(tiny.config.networks, critic="task_description")
    )


def networks_of(tiny, config, descriptions=DESCRIPTIONS):
    tf.random.set_seed(1)
    spec = dataclasses.replace(tiny.spec, tasks=len(descriptions))
    return MultiTaskNetworks(spec, config.networks, descriptions)


def inputs(rows=4):
    stream = np.random.default_rng(0)
    return tuple(tf.constant(stream.normal(size=(rows, size)), tf.float32) for size in (3, 2))


def test_a_value_is_the_features_times_the_head_of_the_tasks_description(tiny, config):
    networks = networks_of(tiny, config)
    states, actions = inputs()
    tasks = np.array([0, 1, 1, 0])
    psi = networks.features(states, actions).numpy()
    values = networks.values(states, actions, tf.constant(tasks)).numpy()
    kinds = (networks.heads, networks.task_reward_heads, networks.reward_heads)
    for kind, heads in zip(values, kinds, strict=True):
        np.testing.assert_allclose(kind, (psi * heads().numpy()[tasks]).sum(axis=1), atol=1e-5)
    assert not np.allclose(values[0], values[1])


def test_tasks_of_the_same_description_have_the_same_value_whatever_their_ids(tiny, config):
    networks = networks_of(tiny, config, np.array([[1.0], [7.0], [1.0]]))
    states, actions = inputs()
    first, other, same = (
        networks.values(states, actions, tf.constant([task] * 4)).numpy() for task in range(3)
    )
    np.testing.assert_array_equal(first, same)
    assert not np.allclose(first, other)


def test_experts_see_scaled_descriptions_and_the_prior_sees_none(tiny, config):
    one, other = (
        networks_of(tiny, config, descriptions) for descriptions in (DESCRIPTIONS, -DESCRIPTIONS)
    )
    np.testing.assert_allclose(one.embedding, [[-1.0, 1.0], [1.0, -1.0]])
    states, _ = inputs()
    first, second = tf.zeros(4, tf.int32), tf.ones(4, tf.int32)
    for left, right in zip(one.expert(states, first), other.expert(states, second), strict=True):
        np.testing.assert_array_equal(left, right)
    assert not np.allclose(one.expert(states, first).mean, one.expert(states, second).mean)
    for left, right in zip(one.prior(states), other.prior(states), strict=True):
        np.testing.assert_array_equal(left, right)
    assert {variable.ref() for variable in one.group("expert")}.isdisjoint(
        variable.ref() for variable in one.heads.variables
    )


def test_f_is_shared_by_all_tasks_and_belongs_to_the_critic(tiny, config):
    few, many = (
        networks_of(tiny, config),
        networks_of(tiny, config, np.random.default_rng(0).normal(size=(50, 2))),
    )
    shapes = [
        [tuple(variable.shape) for variable in networks.group("critic")] for networks in (few, many)
    ]
    assert shapes[0] == shapes[1]
    critic = {variable.ref() for variable in few.group("critic")}
    for heads in (few.heads, few.task_reward_heads, few.reward_heads):
        assert {variable.ref() for variable in heads.trainable_variables} < critic
        assert len(heads.variables) == len(heads.trainable_variables) + 1


def test_a_step_trains_f_online_follows_with_the_target_and_keeps_the_descriptions(
    tiny, config, make_batch
):
    learner = Learner(make_agent(config.agent, DESCRIPTIONS), tiny.spec, config, 3)
    before = learner.save()
    learner.step(make_batch())
    after = learner.save()
    np.testing.assert_array_equal(before["online/embedding"], after["online/embedding"])
    for kind in ("online", "target"):
        for heads in ("heads", "task_reward_heads", "reward_heads"):
            weights = [name for name in before if name.startswith(f"{kind}/{heads}/")]
            assert {name.rpartition("/")[2] for name in weights} == {"w", "b", "descriptions"}
            for name in weights:
                assert np.array_equal(before[name], after[name]) == name.endswith("descriptions"), (
                    name
                )


def test_adaptation_finds_the_heads_of_the_training_tasks_in_the_snapshot(tiny, config, tmp_path):
    networks = networks_of(tiny, config)
    for own, expected in ((True, networks.task_reward_heads), (False, networks.heads)):
        spec = dataclasses.replace(tiny.spec, task_reward_heads=own)
        write_snapshot(tmp_path, int(own), spec, config, export_weights(networks))
        snapshot = snapshots.read_snapshot(tmp_path / str(int(own)))
        assert snapshot.networks.critic == "task_description"
        np.testing.assert_allclose(snapshot.task_heads(), expected(), atol=1e-5)


def test_heads_by_id_are_found_in_a_snapshot_as_they_are(pair, tiny, tmp_path):
    online, _ = pair
    write_snapshot(tmp_path, 1, tiny.spec, tiny.config, export_weights(online))
    np.testing.assert_array_equal(
        snapshots.read_snapshot(tmp_path / "1").task_heads(), online.task_reward_heads
    )

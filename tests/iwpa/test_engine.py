from __future__ import annotations

import math

import numpy as np
import pytest

from environments import Task
from environments.sparse_navigation import SparseNavigation
from iwpa.method import Method
from iwpa.methods.td_head import TemporalDifferenceHead
from iwpa.randomness import Purpose, Replica

METHODS = ("prior", "shared_q_iw", "shared_q_iw_hypotheses")


class Spy(Method):
    """Delegates to a method and records its inputs and actions."""

    def __init__(self, method):
        self.method = method
        self.first_observations, self.transitions, self.actions = [], [], []

    def begin_episode(self, observations, streams):
        self.first_observations.append(observations.copy())
        self.method.begin_episode(observations, streams)

    def act(self):
        self.actions.append(self.method.act())
        return self.actions[-1]

    def observe(self, transitions):
        self.transitions.append(transitions)
        self.method.observe(transitions)

    def end_episode(self, streams):
        self.method.end_episode(streams)

    def temperatures(self):
        return self.method.temperatures()

    def realised_kl(self):
        return self.method.realised_kl()


def spied(tools, name, distribution, replicas, **options):
    spies = []
    records = tools.run(
        name,
        distribution,
        replicas,
        wrap=lambda method: spies.append(Spy(method)) or spies[0],
        **options,
    )
    return spies[0], records


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("environment", ["corridor", "sparse_navigation"])
def test_a_replica_acts_alike_alone_or_at_any_index_among_90(tools, corridor, name, environment):
    distribution = corridor if environment == "corridor" else SparseNavigation()
    replicas = tools.replicas_of(distribution, seeds=3)
    assert len(replicas) == 90
    together, records = spied(tools, name, distribution, replicas, updates_per_episode=10)
    order = np.random.default_rng(0).permutation(90)[:20]
    elsewhere, _ = spied(
        tools, name, distribution, [replicas[index] for index in order], updates_per_episode=10
    )
    alone, (first, second) = spied(
        tools, name, distribution, [replicas[order[0]]], updates_per_episode=10
    )
    np.testing.assert_allclose(np.array(together.actions)[:, order], elsewhere.actions, atol=1e-5)
    np.testing.assert_allclose(np.array(together.actions)[:, order[:1]], alone.actions, atol=1e-5)
    assert [first[0].episode_return, second[0].episode_return] == pytest.approx(
        tools.returns(records)[:, order[0]], abs=1e-5
    )


def test_all_methods_share_the_reset_seeds(tools, corridor):
    replicas = tools.replicas_of(corridor)[:4]
    starts = [
        spied(tools, name, corridor, replicas, episodes=3)[0].first_observations for name in METHODS
    ]
    for other in starts[1:]:
        np.testing.assert_array_equal(starts[0], other)
    # Three episodes of four replicas, all different.
    assert len(np.unique(np.array(starts[0])[..., 0])) == 12


def test_importance_weighting_equals_the_prior_at_an_infinite_temperature(tools):
    distribution = SparseNavigation()
    replicas = tools.replicas_of(distribution)[:5]
    prior, records = spied(tools, "prior", distribution, replicas, episodes=3)
    weighted, weighted_records = spied(tools, "shared_q_iw", distribution, replicas, episodes=3)
    assert not any(record.found for record in records[-1])
    assert all(record.temperature is None and record.kl == 0.0 for record in weighted_records[-1])
    np.testing.assert_array_equal(prior.actions, weighted.actions)


@pytest.mark.parametrize("name", METHODS)
def test_a_replica_that_ends_early_is_masked_while_the_others_continue(tools, name):
    distribution = tools.Corridor([(0.5, 7, tools.NEVER), (0.5, tools.NEVER, tools.NEVER)])
    spy, records = spied(tools, name, distribution, tools.replicas_of(distribution), episodes=1)
    assert [record.length for record in records[0]] == [7, 20]
    active = np.array([transitions.active for transitions in spy.transitions])
    np.testing.assert_array_equal(active.sum(axis=0), [7, 20])
    rewards = np.array([transitions.rewards for transitions in spy.transitions])
    np.testing.assert_allclose(tools.returns(records)[0], (rewards * active).sum(axis=0), rtol=1e-5)
    assert spy.transitions[6].discounts[0] == 0.0  # terminated
    assert spy.transitions[-1].discounts[1] == 1.0  # truncated


def test_a_faulted_episodes_missing_steps_cost_the_worst_reward_and_teach_nothing(
    tools,
):
    distribution = tools.Corridor([(0.5, tools.NEVER, 6), (0.5, tools.NEVER, tools.NEVER)])
    spy, records = spied(
        tools, "shared_q_iw", distribution, tools.replicas_of(distribution), episodes=1
    )
    faulted, sound = records[0]
    so_far = sum(float(transitions.rewards[0]) for transitions in spy.transitions[:5])
    assert faulted.episode_return == pytest.approx(
        so_far + 15 * distribution.worst_reward, rel=1e-5
    )
    assert faulted.fault == "RuntimeError: the physics exploded"
    assert faulted.length == 5
    assert sound.fault is None
    assert not spy.transitions[5].active[0]
    np.testing.assert_array_equal(spy.method.critic.memory.counts, [5, 20])


def test_failed_starts_are_counted(tools, monkeypatch):
    distribution = tools.Corridor([(0.5, tools.NEVER, tools.NEVER)])
    environment = type(distribution.make_environment(0))
    reset, failures = environment.reset, iter([True, True, False, False])
    monkeypatch.setattr(environment, "reset", lambda self: 1 / 0 if next(failures) else reset(self))
    first, second = tools.run("prior", distribution, tools.replicas_of(distribution), episodes=2)
    assert (first[0].failed_starts, second[0].failed_starts) == (2, 0)
    assert first[0].length == 20


def test_found_means_that_two_rewards_differed(tools):
    distribution = tools.Corridor([(0.5, 1, tools.NEVER), (0.5, 2, tools.NEVER)])
    records = tools.run("prior", distribution, tools.replicas_of(distribution), episodes=2)
    assert [record.found for record in records[0]] == [False, True]
    # The first reward differs in another episode.
    assert [record.found for record in records[1]] == [True, True]


def test_one_update_is_made_every_ten_steps_and_a_hundred_after_each_episode(
    tools, corridor, monkeypatch
):
    updates = []
    original = TemporalDifferenceHead._update
    monkeypatch.setattr(
        TemporalDifferenceHead,
        "_update",
        lambda self, *args: updates.append(len(args[-1])) or original(self, *args),
    )
    tools.run("shared_q_iw", corridor, tools.replicas_of(corridor)[:1], episodes=2)
    assert updates == [1, 1, 100] * 2


def test_a_stop_takes_effect_at_the_next_control_step(tools, corridor):
    asked = iter([False] * 25 + [True])
    spy, records = spied(
        tools,
        "shared_q_iw",
        corridor,
        tools.replicas_of(corridor)[:2],
        episodes=5,
        should_stop=lambda: next(asked),
    )
    assert len(records) == 1
    assert len(spy.actions) == 25


def test_recorded_returns_do_not_depend_on_the_reward_scale(tools, corridor):
    replicas = tools.replicas_of(corridor)[:3]
    plain, records = spied(tools, "prior", corridor, replicas)
    scaled, scaled_records = spied(tools, "prior", corridor, replicas, reward_scale=0.1)
    np.testing.assert_allclose(tools.returns(records), tools.returns(scaled_records), rtol=1e-6)
    np.testing.assert_allclose(
        scaled.transitions[3].rewards, 0.1 * plain.transitions[3].rewards, rtol=1e-6
    )


@pytest.mark.parametrize("name", METHODS)
def test_a_method_learns_of_the_task_only_through_rewards(tools, name):
    distribution = SparseNavigation()
    # Two goals that no replica reaches, with equal index and seed and so with equal streams.
    left, right = (Replica("test", Task(0, (angle,)), 0) for angle in (math.pi, 0.0))
    spy, records = spied(tools, name, distribution, [left, right], episodes=2)
    assert not any(record.found for record in records[-1])
    np.testing.assert_array_equal(
        spy.method._proposals.actions[0], spy.method._proposals.actions[1]
    )
    np.testing.assert_array_equal(np.array(spy.actions)[:, 0], np.array(spy.actions)[:, 1])


def test_streams_differ_with_every_part_of_their_key():
    task, other = Task(0, (0.0,)), Task(1, (0.0,))
    replicas = [
        Replica("test", task, 0),
        Replica("test", other, 0),
        Replica("test", task, 1),
        Replica("validation", task, 0),
    ]
    draws = {
        float(replica.stream(seed, episode, purpose).random())
        for replica in replicas
        for seed in (0, 1)
        for episode in (0, 1)
        for purpose in Purpose
    }
    assert len(draws) == 4 * 2 * 2 * 5
    # A task's parameters are not part of the key.
    assert Replica("test", Task(0, (2.0,)), 0).reset_seed(0, 1) == replicas[0].reset_seed(0, 1)

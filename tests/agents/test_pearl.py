from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from agents.agent import make_agent
from agents.learning import Learner
from agents.losses import Costs, Inputs
from agents.networks import export_weights
from agents.pearl.behaviour import LatentBehaviour
from agents.pearl.loss import draw_noise, total_loss
from agents.pearl.networks import LatentNetworks
from environments import StepBatch
from iwpa.network_config import ENCODERS
from iwpa.recurrent_networks import FACTOR_SHIFT, Contexts, NumpyLatentPolicy, numpy_encoder


@pytest.fixture(scope="module")
def learner(configured, tiny):
    learner = Learner(make_agent("pearl"), tiny.spec, configured("pearl")[0], seed=1)
    stream = np.random.default_rng(0)
    for variable in learner.online.variables:
        variable.assign(stream.normal(0.0, 0.5, variable.shape))
    return learner


@pytest.fixture(scope="module")
def fresh(learner, act):
    """What an actor with the learner's weights writes in 60 control steps."""
    recorder, _ = act("pearl", export_weights(learner.online), 60)
    return recorder.batch(range(len(recorder.items)))


def _contexts(lengths, seed=0, rows=10, width=7):
    contexts = (
        np.random.default_rng(seed).normal(size=(len(lengths), rows, width + 1)).astype(np.float32)
    )
    contexts[..., -1] = np.arange(rows) < np.array(lengths)[:, None]
    return contexts


@pytest.fixture(scope="module", params=ENCODERS)
def encoding(request, configured, tiny):
    """Networks with each kind of encoder, and their config."""
    sizes = dataclasses.replace(configured("pearl")[0].networks, encoder=request.param)
    networks, stream = LatentNetworks(tiny.spec, sizes), np.random.default_rng(0)
    for variable in networks.variables:
        variable.assign(stream.normal(0.0, 0.5, variable.shape))
    return networks, sizes


def test_encoding_step_by_step_in_numpy_equals_encoding_the_whole_context(encoding):
    networks, sizes = encoding
    contexts = _contexts([0, 1, 4, 10])
    theirs = networks.encoder(tf.constant(contexts))
    encoder, growing = numpy_encoder(export_weights(networks), sizes), Contexts(4, sizes)
    for t in range(10):
        growing.add(encoder, contexts[:, t, :-1], contexts[:, t, -1] > 0)
    own = growing.posterior(encoder)
    np.testing.assert_allclose(own.mean, theirs.mean, atol=1e-5)
    np.testing.assert_allclose(own.std, theirs.std, atol=1e-5)
    assert len({tuple(mean) for mean in own.mean.tolist()}) == 4


def test_without_a_context_z_is_exactly_standard_normal(encoding):
    posterior = encoding[0].encoder(tf.constant(_contexts([0, 0])))
    np.testing.assert_array_equal(posterior.mean, 0.0)
    np.testing.assert_array_equal(posterior.std, 1.0)


def test_a_product_of_factors_adds_up_precisions_and_weighs_means_by_them(configured, tiny):
    sizes = dataclasses.replace(configured("pearl")[0].networks, encoder="product")
    networks = LatentNetworks(tiny.spec, sizes)
    weights = {variable.name: variable for variable in networks.encoder.variables}
    (output,) = (weight for name, weight in weights.items() if "output/b" in name)
    for weight in weights.values():
        weight.assign(tf.zeros_like(weight))
    # Every factor has mean 3 and precision softplus(log(expm1(1.5))) = 1.5.
    output.assign([3.0] * 3 + [FACTOR_SHIFT + float(np.log(np.expm1(1.5)))] * 3)
    posterior = networks.encoder(tf.constant(_contexts([1, 2])))
    # With N(0, 1), one factor gives 1.5 x 3 / 2.5 and 1 / sqrt(2.5); two give 3 x 3 / 4 and 1 / 2.
    np.testing.assert_allclose(posterior.mean, [[1.8] * 3, [2.25] * 3], rtol=1e-5)
    np.testing.assert_allclose(posterior.std, [[0.4**0.5] * 3, [0.5] * 3], rtol=1e-5)


def test_the_product_encoder_ignores_the_order_of_rows(configured, tiny):
    sizes = dataclasses.replace(configured("pearl")[0].networks, encoder="product")
    encoder = LatentNetworks(tiny.spec, sizes).encoder
    context = _contexts([10, 10])
    for left, right in zip(
        encoder(tf.constant(context)), encoder(tf.constant(context[:, ::-1].copy())), strict=True
    ):
        np.testing.assert_allclose(left, right, atol=1e-5)


def test_masked_rows_change_nothing(encoding):
    one, other = _contexts([3, 7], seed=1), _contexts([3, 7], seed=2)
    there = one[..., -1:] > 0
    mixed = np.where(there, one, other)
    for left, right in zip(
        encoding[0].encoder(tf.constant(one)), encoding[0].encoder(tf.constant(mixed)), strict=True
    ):
        np.testing.assert_array_equal(left, right)


def test_the_policy_in_numpy_is_that_of_the_learner(learner, configured):
    stream = np.random.default_rng(0)
    observations, latents = (
        stream.normal(size=(6, 1, 3)).astype(np.float32),
        stream.normal(size=(6, 3)).astype(np.float32),
    )
    theirs = learner.online.policy(tf.constant(observations), tf.constant(latents))
    own = NumpyLatentPolicy(export_weights(learner.online), configured("pearl")[0].networks)(
        observations[:, 0], latents
    )
    np.testing.assert_allclose(own.mean, theirs.mean[:, 0], atol=1e-5)
    np.testing.assert_allclose(own.std, theirs.std[:, 0], atol=1e-5)


def test_a_context_holds_whole_earlier_episodes_of_the_task(fresh):
    ends, lengths = fresh["memory"][..., -2], fresh["memory"][..., -1].sum(axis=1).astype(int)
    assert set(ends.sum(axis=1).astype(int)) == {
        0,
        1,
        2,
    }  # episodes, in trials of three; none only where the task is new
    for row, length in enumerate(lengths):
        context = fresh["memory"][row]
        np.testing.assert_array_equal(context[:length, -1], 1.0)
        np.testing.assert_array_equal(context[length:], 0.0)
        assert length == 0 or context[length - 1, -2] == 1.0  # ends with an episode
        endless = fresh["observations"][row, 0, 0]
        np.testing.assert_array_equal(context[:length, 0], endless)  # of the same task


def test_sequences_without_a_context_train_nothing(learner, configured, fresh):
    config, _ = configured("pearl")
    empty = fresh["memory"][..., -1].max(axis=1) == 0
    assert 0 < empty.sum() < len(empty)
    other = {**fresh, "rewards": np.where(empty[:, None], 7.0, fresh["rewards"]).astype(np.float32)}
    other["actions"] = np.where(empty[:, None, None], 0.1, fresh["actions"]).astype(np.float32)
    losses = []
    for batch in (fresh, other):
        tensors = {key: tf.constant(value) for key, value in batch.items()}
        noise = draw_noise(tensors, config, tf.constant([0, 0], tf.int64))
        losses.append(
            float(
                total_loss(
                    learner.online,
                    learner.target,
                    Inputs(tensors, noise, Costs(0.0, 0.01)),
                    config,
                )[0]
            )
        )
    assert losses[0] == losses[1]
    assert losses[0] != 0


def test_sequences_keep_the_environments_discount_and_carry_on_as_the_multi_task_agents_do(fresh):
    terminated = (fresh["task_rewards"] == 1.0) & (fresh["task"] == 0)[:, None]
    np.testing.assert_array_equal(fresh["discounts"][terminated], 0.0)
    assert (fresh["discounts"][(fresh["task"] == 1)[:, None] & (fresh["mask"] > 0)] == 1).all()


class _Played:
    """A behaviour in one environment that plays episodes of given lengths and records z."""

    def __init__(self, learner, configured, tiny):
        config, _ = configured("pearl")
        self.behaviour = LatentBehaviour(tiny.spec, config, 1, [0])
        self.behaviour.update(export_weights(learner.online))
        self._stream = np.random.default_rng(5)

    def episode(self, length, *, new_task, task=0, faulted=False, seed=0, rewards=None):
        stream = np.random.default_rng(seed)
        self.behaviour.begin_episode(0, task, new_task=new_task)
        means = []
        observations = np.zeros((1, 3), np.float32)
        for step in range(length):
            means.append(self.behaviour.act(np.zeros((1, 3), np.float32)).mean[0])
            last = np.array([step == length - 1])
            reward = stream.normal(size=1) if rewards is None else np.full(1, rewards)
            result = StepBatch(reward, np.zeros(1), np.ones(1), last, last & faulted)
            observations = stream.normal(size=(1, 3)).astype(np.float32)
            self.behaviour.observe(np.zeros((1, 2), np.float32), result, observations)
        return np.array(means)

    def context_lengths(self, task, draws=50):
        """Returns how many rows of context the items of a task would carry."""
        lengths = set()
        for _ in range(draws):
            self.behaviour.begin_episode(0, task, new_task=True)
            lengths.add(int(self.behaviour.memories[0, :, -1].sum()))
        return lengths


def test_z_is_fixed_within_an_episode_and_drawn_anew_for_the_next(learner, configured, tiny):
    played = _Played(learner, configured, tiny)
    first, second = played.episode(4, new_task=True), played.episode(4, new_task=False)
    assert (first == first[0]).all()
    assert (second == second[0]).all()
    assert not np.allclose(first[0], second[0])


def test_z_ignores_the_present_episode_and_episodes_that_a_fault_ended(learner, configured, tiny):
    acted, lengths = [], []
    for seed in (1, 2):
        played = _Played(learner, configured, tiny)
        played.episode(4, new_task=True)
        played.episode(3, new_task=False, faulted=True, seed=seed)
        acted.append(played.episode(2, new_task=False, seed=seed))
        lengths.append(played.context_lengths(task=0))
    np.testing.assert_array_equal(*acted)
    assert lengths == [{4, 2, 6}] * 2


def test_a_context_holds_some_rows_of_episodes_that_do_not_fit(learner, configured, tiny):
    played = _Played(learner, configured, tiny)
    room = played.behaviour.memories.shape[1]
    played.episode(room + 5, new_task=True)
    played.episode(room + 5, new_task=False, seed=1)
    played.behaviour.begin_episode(0, 0, new_task=True)
    context = played.behaviour.memories[0]
    assert (context[:, -1] == 1.0).all()
    assert len(np.unique(context[:, :3], axis=0)) == room


def test_an_episode_of_equal_rewards_enters_no_context(learner, configured, tiny):
    acted = []
    for seed in (1, 2):
        played = _Played(learner, configured, tiny)
        played.episode(4, new_task=True)
        played.episode(3, new_task=False, seed=seed, rewards=0.5)
        acted.append(played.episode(2, new_task=False, seed=seed))
        assert played.context_lengths(task=0) == {4, 2, 6}
    np.testing.assert_array_equal(*acted)


def test_z_forgets_a_task_that_is_over_and_later_items_of_the_task_do_not(
    learner, configured, tiny
):
    acted = []
    for seed in (1, 2):
        played = _Played(learner, configured, tiny)
        played.episode(4, new_task=True, seed=seed)
        acted.append(played.episode(2, new_task=True, task=1))
        assert played.context_lengths(task=0) == {4}
        assert played.context_lengths(task=1) == {2}
        assert played.context_lengths(task=2) == {0}
    np.testing.assert_array_equal(*acted)

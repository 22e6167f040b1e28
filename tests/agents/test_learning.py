from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from agents.acting import Actor
from agents.data_parallel import merge_metrics
from agents.losses import Costs, Inputs, Noise
from agents.multitask.behaviour import ExpertBehaviour
from agents.multitask.loss import total_loss
from agents.networks import export_weights
from environments import EnvironmentBatch
from iwpa.networks import NumpyExpert, NumpyFeatures, NumpyGaussian, NumpyPrior, sub_weights
from replay.writer import SequenceWriter


def _noise(seed=5):
    """Draws for 32 sequences of 3 transitions, 2 samples, 2 axes."""
    return Noise(*np.random.default_rng(seed).normal(size=(2, 2, 32, 3, 2)).astype(np.float32))


def _kl(left, right):
    """KL(left || right) of diagonal Gaussians, by the textbook."""
    per_axis = (
        np.log(right.std / left.std)
        + (left.std**2 + (left.mean - right.mean) ** 2) / (2 * right.std**2)
        - 0.5
    )
    return per_axis.sum(axis=-1)


class _Numpy:
    """Networks evaluated one state at a time."""

    def __init__(self, networks, config, spec):
        weights = export_weights(networks)
        self._expert = NumpyExpert(weights, config.networks)
        self.prior = NumpyPrior(weights, spec.prior_columns, config.networks)
        names = ["heads", "task_reward_heads", "reward_heads"]
        features = ["features"] * 3
        if config.networks.second_critic:
            names, features = [*names, "second_heads"], [*features, "second_features"]
        self._heads = [weights[name] for name in names]
        self._features = [NumpyFeatures(sub_weights(weights, name)) for name in features]

    def expert(self, state, task):
        distribution = self._expert(state[None], np.array([task]))
        return type(distribution)(distribution.mean[0], distribution.std[0])

    def psi(self, state, action, kind):
        return self._features[kind](state, action)

    def value(self, state, action, task, kind):
        return float(self.psi(state, action, kind) @ self._heads[kind][task])

    def next_value(self, state, action, task, kind):
        """The value of a next state's action: of two critics' of the training reward, the less."""
        kinds = [kind] if kind == 1 or len(self._heads) == 3 else [0, 3]
        return min(self.value(state, action, task, kind) for kind in kinds)


def _by_hand(online, target, batch, noise, config):
    """Returns the losses and the critic's gradient for its heads, one transition at a time.

    Source: the paper's appendix A.
    """
    costs = config.losses
    critic, policy, prior, count = 0.0, 0.0, 0.0, batch["mask"].sum()
    gradients = np.zeros((4, 2, 9))
    second = [3] if config.networks.second_critic else []
    for b, task in enumerate(batch["task"]):
        length = int(batch["mask"][b].sum())
        states, actions = batch["observations"][b], batch["actions"][b]
        for kind in (0, 1, *second):
            rewards, trace = batch["task_rewards" if kind == 1 else "rewards"][b], 0.0
            for t in reversed(range(length)):
                after = target.expert(states[t + 1], task)
                value = np.mean(
                    [
                        target.next_value(states[t + 1], after.mean + after.std * e, task, kind)
                        for e in noise.value[:, b, t]
                    ]
                )
                if kind != 1:
                    value -= costs.kl_cost * _kl(after, target.prior(states[t + 1]))
                discount = costs.discount * batch["discounts"][b, t]
                old = target.value(states[t], actions[t], task, kind)
                difference = costs.reward_scale * rewards[t] + discount * value - old
                ratio = 0.0
                if t + 1 < length:
                    ratio = np.exp(after.log_prob(actions[t + 1]) - batch["log_probs"][b, t + 1])
                trace = difference + discount * costs.trace_decay * min(1.0, ratio) * trace
                error = online.value(states[t], actions[t], task, kind) - (old + trace)
                critic += 0.5 * error**2 / count
                gradients[kind, task] += error * online.psi(states[t], actions[t], kind) / count
        for t in range(length):
            reward = costs.reward_scale * batch["task_rewards"][b, t]
            error = online.value(states[t], actions[t], task, 2) - reward
            critic += 0.5 * error**2 / count
            gradients[2, task] += error * online.psi(states[t], actions[t], 2) / count
            now = online.expert(states[t], task)
            value = np.mean(
                [
                    target.value(states[t], now.mean + now.std * e, task, 0)
                    for e in noise.policy[:, b, t]
                ]
            )
            entropy = np.log(now.std * np.sqrt(2 * np.pi * np.e)).sum()
            policy += (
                costs.kl_cost * _kl(now, target.prior(states[t]))
                - value
                - costs.entropy_cost * entropy
            ) / count
            prior += _kl(now, online.prior(states[t])) / count
    return critic, policy, prior, gradients


@pytest.mark.parametrize(("trace_decay", "second"), [(1.0, False), (0.6, False), (0.6, True)])
def test_the_losses_are_those_of_the_paper_transition_by_transition(
    make_pair, tiny, make_batch, constant, trace_decay, second
):
    fixed = {"kl_target": 0.0, "std_target": 0.0}
    costs = dataclasses.replace(
        tiny.config.losses, kl_cost=0.3, entropy_cost=0.2, trace_decay=trace_decay, **fixed
    )
    networks = dataclasses.replace(tiny.config.networks, second_critic=second)
    config = dataclasses.replace(tiny.config, losses=costs, networks=networks)
    pair = make_pair(networks)
    batch, noise = make_batch(1), _noise()
    critic, policy, prior, by_heads = _by_hand(
        *(_Numpy(part, config, tiny.spec) for part in pair), batch, noise, config
    )
    with tf.GradientTape() as tape:
        total, metrics = total_loss(*pair, Inputs(constant(batch), noise, Costs(0.3, 0.2)), config)
    assert metrics["critic_loss"].numpy() == pytest.approx(critic, rel=1e-4)
    assert metrics["policy_loss"].numpy() == pytest.approx(policy, rel=1e-4)
    assert metrics["prior_loss"].numpy() == pytest.approx(prior, rel=1e-4)
    assert total.numpy() == pytest.approx(critic + policy + prior, rel=1e-4)
    heads = [pair[0].heads, pair[0].task_reward_heads, pair[0].reward_heads]
    heads += [pair[0].second_heads] if second else []
    gradients = tape.gradient(total, heads)
    for gradient, expected in zip(gradients, by_heads[: len(heads)], strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-5)


def test_a_teacher_adds_the_kl_from_its_actions_to_the_experts_loss(
    pair, tiny, make_batch, constant
):
    taught = dataclasses.replace(
        tiny.config, losses=dataclasses.replace(tiny.config.losses, teacher_cost=0.7)
    )
    batch, noise = make_batch(1), _noise()
    batch["teacher_actions"] = np.random.default_rng(0).uniform(-1, 1, (32, 3, 2)).astype("f4")
    inputs = Inputs(constant(batch), noise, Costs(0.3, 0.2))
    expert = _Numpy(pair[0], tiny.config, tiny.spec).expert
    by_hand = [
        _kl(
            NumpyGaussian(action, np.full(2, 0.3)),
            expert(batch["observations"][b, t], batch["task"][b]),
        )
        for b, row in enumerate(batch["teacher_actions"])
        for t, action in enumerate(row)
        if batch["mask"][b, t]
    ]
    without, _ = total_loss(*pair, inputs, tiny.config)
    total, metrics = total_loss(*pair, inputs, taught)
    assert metrics["teacher_loss"].numpy() == pytest.approx(np.mean(by_hand), rel=1e-4)
    assert (total - without).numpy() == pytest.approx(0.7 * np.mean(by_hand), rel=1e-3)


def test_targets_are_constants_to_critic_and_prior(pair, tiny, make_batch, constant):
    # The policy's loss does pass through the target critic and prior, but the learner does not
    # watch their variables.
    online, target = pair
    with tf.GradientTape(persistent=True) as tape:
        _, metrics = total_loss(
            online, target, Inputs(constant(make_batch()), _noise(), Costs(0.05, 0.01)), tiny.config
        )
    for loss in ("critic_loss", "prior_loss"):
        assert tape.gradient(metrics[loss], list(target.variables)) == [None] * len(
            target.variables
        )


def test_quantiles_of_the_ratio_are_over_real_transitions_alone(pair, tiny, make_batch, constant):
    batch = make_batch(1)
    real = batch["mask"] > 0
    assert not real.all()
    _, values = total_loss(*pair, Inputs(constant(batch), _noise(), Costs(0.05, 0.01)), tiny.config)
    metrics = merge_metrics([values], constant(batch)["mask"])
    policy = pair[1].expert(batch["observations"][:, :-1], tf.constant(batch["task"]))
    ratios = np.sort(np.exp(policy.log_prob(batch["actions"]).numpy() - batch["log_probs"])[real])
    for percent in (10, 50, 90):
        assert metrics[f"rho_q{percent}"].numpy() == pytest.approx(
            ratios[round(percent / 100 * (len(ratios) - 1))], rel=1e-4
        )


def test_a_step_moves_every_online_variable_and_its_target_by_the_polyak_share(learner, make_batch):
    initial = {name: value.copy() for name, value in learner.save().items()}
    batch = make_batch(2)
    learner.step(batch)  # heads of 0 give the features no gradient in the first step
    before = {name: value.copy() for name, value in learner.save().items()}
    metrics = learner.step(batch)
    after = learner.save()
    for name in (name.removeprefix("online/") for name in after if name.startswith("online/")):
        assert not np.array_equal(initial[f"online/{name}"], after[f"online/{name}"]), name
        expected = 0.95 * before[f"target/{name}"] + 0.05 * after[f"online/{name}"]
        np.testing.assert_allclose(after[f"target/{name}"], expected, atol=1e-6, err_msg=name)
    assert learner.steps == 2
    assert metrics["skipped_steps"] == 0
    assert all(np.isfinite(value) for value in metrics.values())


@pytest.mark.parametrize(
    "key", ["rewards", "task_rewards", "observations", "actions", "log_probs", "discounts"]
)
def test_a_step_from_a_non_finite_batch_is_skipped_and_counted(learner, make_batch, key):
    learner.step(make_batch(3))
    before = {name: value.copy() for name, value in learner.save().items()}
    broken = make_batch(4)
    broken[key][1, 1] = np.nan  # of two transitions
    assert learner.step(broken)["skipped_steps"] == 1
    after = learner.save()
    for name, value in before.items():
        if name not in ("learner_step", "skipped_steps"):
            np.testing.assert_array_equal(after[name], value, err_msg=name)
    assert learner.steps == 2
    metrics = learner.step(make_batch(5))
    assert metrics["skipped_steps"] == 1
    assert all(np.isfinite(value) for value in metrics.values())
    assert not np.array_equal(learner.save()["online/heads"], before["online/heads"])


def test_a_restored_learner_continues_bit_for_bit(learner, make_batch):
    learner.step(make_batch(6))
    state = learner.save()
    kept = {name: value.copy() for name, value in state.items()}

    def run():
        metrics = [learner.step(make_batch(seed)) for seed in (7, 8, 9)]
        return [
            {name: value.numpy() for name, value in part.items()} for part in metrics
        ], learner.save()

    first, first_state = run()
    for name, value in kept.items():
        assert state[name].tobytes() == value.tobytes(), (
            name
        )  # later steps do not overwrite a saved state
    learner.restore(state)
    assert learner.steps == 1
    second, second_state = run()
    assert first == second
    for name, value in first_state.items():
        assert value.tobytes() == second_state[name].tobytes(), name


def test_a_step_has_the_costs_that_the_state_holds_and_moves_them_towards_their_targets(
    learner, make_batch
):
    state = {**learner.save(), "kl_cost": np.float32(0.05), "entropy_cost": np.float32(0.01)}
    learner.restore(state)
    first, second = learner.step(make_batch(1)), learner.step(make_batch(2))
    assert (first["kl_cost"], first["entropy_cost"]) == (np.float32(0.05), np.float32(0.01))
    # The KL is above its target of 0.01 nats and the spread below its target of 0.9: log lambda
    # changes by the whole rate, 0.01, log eta by a part of it.
    excess = np.clip(first["kl_to_prior"] / 0.01 - 1.0, -1.0, 1.0)
    assert second["kl_cost"].numpy() == pytest.approx(0.05 * np.exp(0.01 * excess), rel=1e-5)
    spread = np.exp(first["policy_entropy"] / 2 - 0.5 * np.log(2 * np.pi * np.e))
    assert second["entropy_cost"].numpy() == pytest.approx(
        0.01 * np.exp(0.01 * (0.9 / spread - 1)), rel=1e-5
    )
    assert learner.save()["kl_cost"] != second["kl_cost"]  # changed again by the second step


def test_noise_is_a_function_of_seed_and_step(learner, make_batch, constant):
    batch = constant(make_batch())
    first = learner.draw_noise(batch)
    np.testing.assert_array_equal(first.value, learner.draw_noise(batch).value)
    assert first.value.shape == first.policy.shape == (2, 32, 3, 2)
    assert not np.array_equal(first.value, first.policy)
    learner.step(batch)
    assert not np.array_equal(first.value, learner.draw_noise(batch).value)


def _act(tiny, learner, steps):
    recorder = tiny.recorder()
    distribution = tiny.distribution()
    environments = EnvironmentBatch(distribution, 8)
    writer = SequenceWriter(recorder, 8, tiny.sequence, lambda: False)
    behaviour = ExpertBehaviour(tiny.config, 8)
    behaviour.update(learner.get_variables(["expert"])[0])
    actor = Actor(environments, distribution.tasks("train"), writer, behaviour, seed=0)
    for _ in range(steps):
        actor.step(learner.steps)
    return recorder


def test_the_ratio_is_1_on_fresh_data_also_for_actions_beyond_the_bounds(learner, tiny):
    for networks in (learner.online, learner.target):
        (bias,) = (
            variable
            for variable in networks.group("expert")
            if variable.name.endswith("expert/std/b:0")
        )
        bias.assign([2.0, 2.0])
    batch = _act(tiny, learner, 30).batch(range(32))
    assert np.abs(batch["actions"]).max() > 1.5
    assert (batch["mask"] == 0).any()
    # Each stored log-probability is the learner's at the unclipped action.
    theirs = learner.online.expert(
        batch["observations"][:, :-1], tf.constant(batch["task"])
    ).log_prob(batch["actions"])
    np.testing.assert_allclose(
        batch["log_probs"], np.where(batch["mask"] > 0, theirs, 0.0), atol=1e-4
    )
    metrics = learner.step(batch)
    for quantile in ("rho_q10", "rho_q50", "rho_q90"):
        assert metrics[quantile].numpy() == pytest.approx(1.0, abs=1e-4)
    assert metrics["sample_age"] == 1.0  # the step itself


def test_the_right_values_are_learned_from_rewards_at_the_end(learner, tiny):
    # The discount is 0.6, the reward scale 0.5. Task 0 pays 1 in its last step, where it
    # terminates: 0.5 * 0.6^(left - 1). Task 1 pays 0.4 for ever, though its episodes are truncated:
    # 0.5 * 0.4/(1 - 0.6) = 0.5. Training rewards are four times these.
    recorder = _act(tiny, learner, 300)
    stream = np.random.default_rng(0)
    for _ in range(800):
        metrics = learner.step(recorder.batch(stream.integers(len(recorder.items), size=32)))
    assert metrics["skipped_steps"] == 0
    left = np.arange(5, 0, -1)
    states = np.array(
        [[0.0, n / 5, 1.0] for n in left] + [[1.0, 0.0, 1.0]], np.float32
    )  # columns: endless, left, one
    tasks = np.array([0] * 5 + [1], np.int32)
    noise = stream.uniform(-1, 1, (6, 20, 2)).astype(np.float32)
    repeated = np.repeat(states[:, None], 20, axis=1)
    training, own, reward = (
        learner.target.values(repeated, noise, tf.constant(tasks)).numpy().mean(axis=2)
    )
    expected = np.array([*(0.5 * 0.6 ** (left - 1)), 0.5])
    np.testing.assert_allclose(own, expected, atol=0.04)
    np.testing.assert_allclose(training, 4 * expected, atol=0.16)
    np.testing.assert_allclose(reward, [0, 0, 0, 0, 0.5, 0.2], atol=0.04)


def test_what_pays_and_what_of_it_ends_episodes_is_averaged_over_steps(learner, make_batch):
    before, expected = learner._step.numpy(), np.zeros(3)
    assert before == 0
    for seed in range(3):
        batch = make_batch(seed)
        batch["task_rewards"] = np.where(batch["discounts"] == 0, 5.0, batch["task_rewards"])
        learner.step(batch)
        mask, paid = batch["mask"], batch["task_rewards"]
        ends = (paid > 0) & (batch["discounts"] == 0)
        for index, value in enumerate((paid > 0, ends, ends * paid)):
            expected[index] += (value * mask).sum() / mask.sum() / 3
    assert expected[1] > 0
    np.testing.assert_allclose(learner.online.payments, expected, rtol=1e-5)


def test_the_reward_heads_errors_are_averaged_in_the_units_of_scaled_rewards(learner, make_batch):
    losses = [float(learner.step(make_batch(seed))["reward_loss"]) for seed in range(3)]
    variance = learner.online.reward_variance.numpy()
    assert variance == pytest.approx(2 * np.mean(losses), rel=1e-5)
    learner.step(
        {**make_batch(4), "task_rewards": np.full_like(make_batch(4)["task_rewards"], np.nan)}
    )
    assert learner.online.reward_variance.numpy() == variance

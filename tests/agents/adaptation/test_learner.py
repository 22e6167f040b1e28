"""Compares updates of stacked networks with single networks, separate gradients, Sonnet's Adam."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf

from agents.adaptation.learner import ActorCriticLearner, CriticLearner, Minibatches, group_size
from agents.adaptation.stacked import StackedCritic, initial_weights
from agents.networks import Features, Policy, import_weights, take_columns
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.proposals import state_values
from iwpa.networks import sub_weights

CONFIG = AdaptationConfig(
    learning_rate=1e-2,
    feature_learning_rate=5e-3,
    policy_learning_rate=2e-3,
    value_samples=2,
    entropy_cost=0.1,
    kl_cost=0.3,
    minibatch=4,
    max_gradient_norm=0.2,
)
TAU = np.array([0.5, np.inf, 0.2], np.float32)
NAMES = ("from_scratch", "distral", "shared_q", "iw")
# The networks that each loss of each method trains. psi of `shared_q` is frozen; so are all targets
# and the prior.
GRADIENTS = {
    ("from_scratch", "critic"): {"heads", "features"},
    ("from_scratch", "policy"): {"policy"},
    ("distral", "critic"): {"heads", "features"},
    ("distral", "policy"): {"policy"},
    ("shared_q", "critic"): {"heads"},
    ("shared_q", "policy"): {"policy"},
    ("iw", "critic"): {"heads", "features"},
}


@pytest.fixture
def eager():
    """Runs functions eagerly: compiling for each of many sizes would take minutes."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@dataclasses.dataclass
class Made:
    """A learner, its networks and the replicas' initial weights."""

    learner: CriticLearner
    critic: StackedCritic
    target: StackedCritic
    policy: Policy | None
    prior: Policy | None
    columns: tuple[int, ...]
    weights: dict[str, np.ndarray]


@pytest.fixture
def make(tools, corridor):
    snapshot = tools.random_snapshot(corridor)
    spec = snapshot.spec

    def make(name, replicas, seeds=None, config=CONFIG):
        """Makes a method's learner with replicas of the given seeds."""
        shared = snapshot.weights if name == "shared_q" else None
        critic, target = (
            StackedCritic(spec, tools.NETWORKS, replicas, shared, name=part)
            for part in ("critic", "target")
        )
        streams = [np.random.default_rng(seed) for seed in seeds or range(replicas)]
        weights = {
            f"critic/{key}": value for key, value in initial_weights(critic, streams).items()
        }
        weights["critic/heads"] = np.stack(
            [stream.normal(size=(1, critic.features.size)) for stream in streams]
        ).astype(np.float32)
        if name == "iw":
            return Made(
                CriticLearner(critic, target, config), critic, target, None, None, (), weights
            )
        columns = (0, 1, 2) if name == "from_scratch" else spec.prior_columns
        policy = Policy(len(columns), 2, tools.NETWORKS, stack=(replicas,), name="policy")
        weights.update(
            {f"policy/{key}": value for key, value in initial_weights(policy, streams).items()}
        )
        prior = None
        if name != "from_scratch":
            prior = Policy(len(columns), 2, tools.NETWORKS, name="prior")
            import_weights(prior, sub_weights(snapshot.weights, "prior"))
        learner = ActorCriticLearner(critic, target, policy, config, columns=columns, prior=prior)
        return Made(learner, critic, target, policy, prior, columns, weights)

    return make


def minibatches_of(seeds, updates):
    parts = []
    for seed in seeds:
        stream = np.random.default_rng([seed, 1])
        sizes = [(4, 3), (4, 2), (4,), (4,), (4, 3), (4, 5, 2), (2, 8, 2)]
        parts.append([stream.normal(size=(updates, *size)).astype(np.float32) for size in sizes])
    return Minibatches(*map(np.stack, zip(*parts, strict=True)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("soft", [False, True])
def test_updates_are_those_of_separate_networks_with_separate_gradients(
    tools, make, eager, name, soft
):
    """Compares the second of three replicas with unstacked networks, trained loss by loss."""
    config = dataclasses.replace(CONFIG, soft_values=soft)
    made = make(name, 3, config=config)
    parts = {"psi": Features(3, 2, tools.NETWORKS), "slow_psi": Features(3, 2, tools.NETWORKS)}
    for psi in parts.values():
        own = sub_weights(made.weights, "critic/features") if name != "shared_q" else None
        for variable, frozen in zip(psi.variables, made.critic.features.variables, strict=True):
            key = variable.name.partition("/")[2].removesuffix(":0")
            variable.assign(frozen if own is None else tf.reshape(own[key][1], variable.shape))
    head, slow_head = (tf.Variable(made.weights["critic/heads"][1, 0].copy()) for _ in range(2))
    policy = None
    if made.policy is not None:
        policy = Policy(len(made.columns), 2, tools.NETWORKS)
        for variable in policy.variables:
            key = variable.name.replace("policy/", "policy/", 1).removesuffix(":0")
            variable.assign(tf.reshape(made.weights[key][1], variable.shape))
    minibatches = minibatches_of(range(3), 3)
    after = made.learner.update(
        made.learner.initial_state(made.weights), minibatches, np.ones(3, bool), TAU
    )

    def target_values(states, actions):
        return tf.linalg.matvec(parts["slow_psi"](states, actions), slow_head)

    def policy_values(states, noise):
        distribution = policy(take_columns(states, made.columns))
        samples = [target_values(states, distribution.sample(part)) for part in np.split(noise, 2)]
        kl = (
            distribution.kl_to(made.prior(take_columns(states, made.columns)))
            if made.prior
            else 0.0
        )
        return tf.add_n(samples) / 2, distribution.entropy(), kl

    def next_values(states, proposals, noise):
        if policy is None:
            q_values = np.stack(
                [target_values(states, proposals[:, index]) for index in range(5)], axis=1
            )
            return state_values(q_values, TAU[1], soft=soft)
        values, _, kl = policy_values(states, noise)
        return values - config.kl_cost * kl

    critic_variables = (head,) if name == "shared_q" else (head, *parts["psi"].variables)
    adams = [
        snt.optimizers.Adam(rate)
        for rate in (
            config.learning_rate,
            config.feature_learning_rate,
            config.policy_learning_rate,
        )
    ]
    for states, actions, rewards, discounts, next_states, proposals, noise in zip(
        *(part[1] for part in minibatches), strict=True
    ):
        goals = rewards + discounts * next_values(next_states, proposals, noise[0])
        with tf.GradientTape(persistent=True) as tape:
            error = tf.linalg.matvec(parts["psi"](states, actions), head) - tf.stop_gradient(goals)
            critic_loss = tf.reduce_mean(0.5 * error**2)
            if policy is not None:
                values, entropy, kl = policy_values(states, noise[1])
                policy_loss = tf.reduce_mean((0.3 * kl if made.prior else -0.1 * entropy) - values)
        gradients = tf.clip_by_global_norm(tape.gradient(critic_loss, critic_variables), 0.2)[0]
        by_policy = (
            tf.clip_by_global_norm(tape.gradient(policy_loss, policy.variables), 0.2)[0]
            if policy is not None
            else []
        )
        adams[0].apply(gradients[:1], critic_variables[:1])
        if gradients[1:]:
            adams[1].apply(gradients[1:], critic_variables[1:])
        if policy is not None:
            adams[2].apply(by_policy, policy.variables)
        for slow, fast in zip(
            (slow_head, *parts["slow_psi"].variables), (head, *parts["psi"].variables), strict=True
        ):
            slow.assign_add(config.target_rate * (fast - slow))

    state = [np.asarray(part) for part in after]
    for network, own_head, own_psi in (
        (made.critic, head, parts["psi"]),
        (made.target, slow_head, parts["slow_psi"]),
    ):
        learned = made.learner.weights(network, state)
        np.testing.assert_allclose(learned["heads"][1, 0], own_head, atol=1e-4)
        for variable in own_psi.variables if name != "shared_q" else ():
            key = "features/" + variable.name.partition("/")[2].removesuffix(":0")
            np.testing.assert_allclose(
                tf.reshape(learned[key][1], variable.shape), variable, atol=1e-4
            )
    if policy is not None:
        learned = made.learner.weights(made.policy, state)
        for variable in policy.variables:
            value = learned[variable.name.partition("/")[2].removesuffix(":0")][1]
            np.testing.assert_allclose(tf.reshape(value, variable.shape), variable, atol=1e-4)


@pytest.mark.parametrize(("name", "loss"), GRADIENTS)
def test_each_loss_reaches_the_networks_that_it_trains_and_no_others(make, name, loss):
    made = make(name, 2)
    made.learner.update(
        made.learner.initial_state(made.weights),
        minibatches_of(range(2), 1),
        np.ones(2, bool),
        TAU[:2],
    )
    minibatch = Minibatches(*(tf.constant(part[:, 0]) for part in minibatches_of(range(2), 1)))
    networks = {
        "heads": [made.critic.heads],
        "features": list(made.critic.features.variables),
        "policy": list(made.policy.variables) if made.policy else [],
        "prior": list(made.prior.variables) if made.prior else [],
    }
    watched = [variable for group in networks.values() for variable in group]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        # As in an update, watch the trained variables only.
        tape.watch(
            [
                variable
                for network in made.learner._networks
                for variables, _ in network
                for variable in variables
            ]
        )
        losses = made.learner.losses(minibatch, tf.constant(TAU[:2]))
    assert set(losses) == {own for method, own in GRADIENTS if method == name}
    gradients = dict(
        zip(
            (variable.ref() for variable in watched),
            tape.gradient(losses[loss], watched),
            strict=True,
        )
    )
    reached = {
        group
        for group, variables in networks.items()
        if any(gradients[variable.ref()] is not None for variable in variables)
    }
    assert reached == GRADIENTS[name, loss]


@pytest.mark.parametrize("name", NAMES)
def test_stacked_replicas_learn_the_same_as_alone_over_ten_updates(make, eager, name):
    seeds = (4, 0, 7)
    together = make(name, 3, seeds)
    state = together.learner.initial_state(together.weights)
    after = together.learner.update(state, minibatches_of(seeds, 10), np.ones(3, bool), TAU)
    for index, seed in enumerate(seeds):
        alone = make(name, 1, [seed])
        own = alone.learner.initial_state(alone.weights)
        result = alone.learner.update(
            own, minibatches_of([seed], 10), np.ones(1, bool), TAU[index : index + 1]
        )
        for before, mine, theirs in zip(own, result, after, strict=True):
            np.testing.assert_allclose(mine[0], theirs[index], atol=1e-5)
            assert before[0].size == 0 or not np.array_equal(before[0], mine[0])


def test_replicas_that_do_not_learn_or_have_a_gradient_that_is_not_finite_stay_unchanged(
    make, eager
):
    made = make("distral", 3)
    minibatches = minibatches_of(range(3), 2)
    minibatches.rewards[0] = np.nan
    before = made.learner.initial_state(made.weights)
    after = made.learner.update(before, minibatches, np.array([True, False, True]), TAU)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(new[:2], old[:2])
        assert not np.array_equal(new[2], old[2])


def test_features_at_learning_rate_zero_stay_as_they_are(make, eager):
    made = make("iw", 2, config=dataclasses.replace(CONFIG, feature_learning_rate=0.0))
    after = made.learner.update(
        made.learner.initial_state(made.weights),
        minibatches_of(range(2), 3),
        np.ones(2, bool),
        TAU[:2],
    )
    learned = made.learner.weights(made.critic, [np.asarray(part) for part in after])
    for name, value in learned.items():
        assert np.array_equal(value, made.weights[f"critic/{name}"]) == (name != "heads")


def test_groups_are_of_equal_size():
    sizes = {replicas: group_size(replicas) for replicas in (1, 7, 10, 13, 30, 90)}
    assert sizes == {1: 1, 7: 7, 10: 10, 13: 1, 30: 10, 90: 10}

"""Tiny networks, a tiny environment, and one learner whose compiled step all tests share."""

from __future__ import annotations

import dataclasses
import types

import dm_env
import numpy as np
import pytest
import tensorflow as tf
from dm_env import specs

from agents.acting import Actor
from agents.agent import make_agent
from agents.config import Config, LossConfig, OptimiserConfig
from agents.learning import Learner
from agents.multitask.networks import MultiTaskNetworks
from environments import EnvironmentBatch, ObservationGroups, TaskDistribution, TaskEnvironment
from environments.task import Task, TaskSet
from iwpa.network_config import NetworkConfig, NetworkSpec
from replay.config import ReplayConfig
from replay.sequence import SequenceSpec, example_batch
from replay.writer import SequenceWriter

_SPEC = NetworkSpec(
    observation_size=3, prior_columns=(0, 2), action_size=2, tasks=2, task_reward_heads=True
)
_CONFIG = Config(
    networks=NetworkConfig(feature_layers=(16, 8), policy_layers=(8, 8), embedding_size=3),
    losses=LossConfig(
        **{"discount": 0.6, "reward_scale": 0.5, "action_samples": 2},
        # The multipliers change, but stay close to 0.05 and 0.01.
        **{"kl_cost": 0.05, "kl_target": 0.01, "kl_rate": 0.01, "kl_cost_min": 0.045},
        **{
            "entropy_cost": 0.01,
            "std_target": 0.9,
            "entropy_rate": 0.01,
            "entropy_cost_max": 0.011,
        },
    ),
    optimiser=OptimiserConfig(learning_rate=5e-3, target_rate=0.05, batch_size=32),
    replay=ReplayConfig(sequence_length=3, capacity=1000, samples_per_insert=1000.0, min_size=32),
)
_SEQUENCE = SequenceSpec(3, 2, length=3)


class _Countdown(TaskEnvironment):
    """Counts down from a random length, then pays 1 and terminates.

    The endless task pays 0.4 a step instead, and its episodes are truncated at a random length.
    """

    def __init__(self):
        self._task = Task(0, (0.0,))
        self._stream = np.random.default_rng(0)
        self._left = 0
        self._reward = 0.0

    def set_task(self, task):
        self._task = task

    def set_seed(self, seed):
        self._stream = np.random.default_rng(seed)

    @property
    def training_reward(self):
        return 4 * self._reward

    def reset(self):
        self._left = int(self._stream.integers(1, 6))
        return dm_env.restart(self._observation())

    def step(self, action):
        self._left -= 1
        endless = self._task.parameters[0]
        self._reward = 0.4 if endless else float(self._left == 0)
        if self._left:
            return dm_env.transition(self._reward, self._observation())
        return (dm_env.truncation if endless else dm_env.termination)(
            self._reward, self._observation()
        )

    def _observation(self):
        endless = self._task.parameters[0]
        return {
            "left": np.array([0.0 if endless else self._left / 5]),
            "endless": np.array([endless]),
            "one": np.ones(1),
        }

    def observation_spec(self):
        return {name: specs.Array((1,), np.float64) for name in ("left", "endless", "one")}

    def action_spec(self):
        return specs.BoundedArray((2,), np.float32, -2, 6)


class _CountdownDistribution(TaskDistribution):
    name = "countdown"
    observation_groups = ObservationGroups(("left", "endless", "one"), ("endless", "one"))
    episode_steps = 5
    worst_reward = 0.0
    dense_training = True
    task_set = TaskSet("default", {"train": (Task(0, (0.0,)), Task(1, (1.0,)))})

    def make_environment(self, seed):
        return _Countdown()


class _Recorder:
    """Stands in for a replay client; keeps the items."""

    def __init__(self, spec=_SEQUENCE):
        self._spec = spec
        self.items = []
        self.history = {}

    def trajectory_writer(self, num_keep_alive_refs):
        return self

    def append(self, item):
        self.history = {key: [value] for key, value in item.items()}

    def create_item(self, table, priority, trajectory):
        self.items.append(trajectory)

    def flush(self, block_until_num_items, timeout_ms): ...

    def batch(self, indices):
        """Returns the items at `indices` as replay would give them."""
        packed = {
            key: np.stack([self.items[index][key] for index in indices]) for key in self.items[0]
        }
        return self._spec.unpack(packed)


@pytest.fixture(scope="session")
def tiny():
    return types.SimpleNamespace(
        spec=_SPEC,
        config=_CONFIG,
        distribution=_CountdownDistribution,
        recorder=_Recorder,
        sequence=_SEQUENCE,
    )


@pytest.fixture(scope="session")
def configured():
    """Returns a small config for an agent, and the shape of its sequences."""

    def configure(agent):
        if agent == "multitask":
            return _CONFIG, _SEQUENCE
        config = dataclasses.replace(
            _CONFIG,
            agent=agent,
            trial_episodes=3,
            networks=dataclasses.replace(_CONFIG.networks, recurrent_size=5, latent_size=3),
            losses=dataclasses.replace(
                _CONFIG.losses, kl_target=0.0, task_reward_heads=False, latent_cost=0.1
            ),
            replay=dataclasses.replace(
                _CONFIG.replay, **({"burn_in": 2} if agent == "rl2" else {"context_length": 10})
            ),
        )
        return config, make_agent(agent).sequence(_SPEC, config)

    return configure


@pytest.fixture(scope="session")
def act(configured):
    """Runs an agent's actor for some steps; returns what it wrote, and its behaviour."""

    def act(agent, weights, steps, environments=None, size=4):
        config, sequence = configured(agent)
        parts, recorder = make_agent(agent), _Recorder(sequence)
        environments = parts.make_environments(
            environments or EnvironmentBatch(_CountdownDistribution(), size), config
        )
        behaviour = parts.make_behaviour(_SPEC, config, size, [7])
        behaviour.update(weights)
        writer = SequenceWriter(recorder, size, sequence, lambda: False)
        tasks = _CountdownDistribution.task_set.tasks("train")
        actor = Actor(environments, tasks, writer, behaviour, 0, parts.episodes_per_task(config))
        for _ in range(steps):
            actor.step(learner_step=0)
        return recorder, behaviour

    return act


@pytest.fixture(scope="session")
def make_batch():
    """Makes a random batch: masks with tails, discounts of 0 and 1, actions beyond the bounds."""

    def make(seed=0, rows=_CONFIG.optimiser.batch_size):
        batch = example_batch(_SEQUENCE, batch_size=rows, seed=seed, tasks=_SPEC.tasks)
        lengths = 1 + np.arange(rows) % 3
        batch["mask"] = (np.arange(3) < lengths[:, None]).astype(np.float32)
        batch["discounts"][::4, 0] = 0.0
        batch["log_probs"] = (
            np.random.default_rng(seed).normal(-2.0, 0.5, (rows, 3)).astype(np.float32)
        )
        for key in ("actions", "log_probs", "rewards", "task_rewards", "discounts"):
            batch[key][batch["mask"] == 0] = 0.0
        return batch

    return make


def perturb(networks, seed):
    """Sets every weight far from its initial value, so that nothing is 0 or 1 by chance."""
    stream = np.random.default_rng(seed)
    for variable in networks.variables:
        variable.assign(stream.normal(0.0, 0.5, variable.shape))


@pytest.fixture(scope="session")
def make_pair():
    """Makes online and target networks with different weights."""

    def make(config):
        networks = (MultiTaskNetworks(_SPEC, config), MultiTaskNetworks(_SPEC, config))
        for seed, part in enumerate(networks):
            perturb(part, seed)
        return networks

    return make


@pytest.fixture(scope="session")
def pair(make_pair):
    return make_pair(_CONFIG.networks)


@pytest.fixture(scope="session")
def _compiled():
    learner = Learner(make_agent(_CONFIG.agent), _SPEC, _CONFIG, seed=3)
    return learner, {name: value.copy() for name, value in learner.save().items()}


@pytest.fixture
def learner(_compiled):
    """The learner in its initial state; its step is compiled at most once."""
    learner, initial = _compiled
    learner.restore(initial)
    return learner


@pytest.fixture(scope="session")
def constant():
    def convert(batch):
        return {key: tf.constant(value) for key, value in batch.items()}

    return convert

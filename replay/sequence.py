"""A masked sequence of transitions: as the learner sees it, and packed as replay keeps it."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from environments.arrays import Array
from replay.config import ReplayConfig

# Beside observation and action, in the order of their columns in a packed sequence.
SCALARS = ("log_probs", "rewards", "task_rewards", "discounts", "mask")


def signature(config: ReplayConfig, observation_size: int, action_size: int) -> dict[str, tf.TensorSpec]:
    """Returns the shapes of one sequence.

    `observations` has one row more than the others: the state after the last transition. `actions` are the unclipped Gaussian samples and
    `log_probs` their log-probabilities under the policy that drew them (Retrace's mu). `mask` is 1 for real transitions, 0 for padding.
    """
    length = config.sequence_length
    return {
        "observations": tf.TensorSpec((length + 1, observation_size), tf.float32),
        "actions": tf.TensorSpec((length, action_size), tf.float32),
        **{name: tf.TensorSpec((length,), tf.float32) for name in SCALARS},
        "task": tf.TensorSpec((), tf.int32),
        "learner_step": tf.TensorSpec((), tf.int32),
    }


def packed_signature(config: ReplayConfig, observation_size: int, action_size: int) -> dict[str, tf.TensorSpec]:
    """Returns the shapes of one packed sequence: what Reverb costs is per array, so two hold everything.

    A row of `floats` is a state and the transition that starts there; `integers` are task and learner step.
    """
    width = observation_size + action_size + len(SCALARS)
    return {
        "floats": tf.TensorSpec((config.sequence_length + 1, width), tf.float32),
        "integers": tf.TensorSpec((2,), tf.int32),
    }


def unpack(packed: dict[str, Any], observation_size: int, action_size: int) -> dict[str, Any]:
    """Takes packed sequences apart, arrays or tensors with any leading axes; the inverse of how the writer lays them out."""
    floats, integers = packed["floats"], packed["integers"]
    first_scalar = observation_size + action_size
    return {
        "observations": floats[..., :observation_size],
        "actions": floats[..., :-1, observation_size:first_scalar],
        **{name: floats[..., :-1, first_scalar + column] for column, name in enumerate(SCALARS)},
        "task": integers[..., 0],
        "learner_step": integers[..., 1],
    }


def example_batch(
    config: ReplayConfig, observation_size: int, action_size: int, *, batch_size: int, seed: int, tasks: int = 1
) -> dict[str, Array]:
    """Returns a random batch of the shape that replay gives, to compile, to test and to measure with."""
    stream = np.random.default_rng(seed)
    batch: dict[str, Array] = {}
    for key, spec in signature(config, observation_size, action_size).items():
        shape = (batch_size, *spec.shape)
        batch[key] = stream.normal(size=shape).astype(np.float32)
    batch["mask"] = np.ones_like(batch["mask"])
    batch["discounts"] = np.ones_like(batch["discounts"])
    batch["task"] = stream.integers(tasks, size=batch_size).astype(np.int32)
    batch["learner_step"] = np.zeros(batch_size, np.int32)
    return batch

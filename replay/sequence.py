"""A masked sequence of transitions: as the learner sees it, and packed as replay keeps it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from environments.arrays import Array

# Beside observation and action, in the order of their columns in a packed sequence.
SCALARS = ("log_probs", "rewards", "task_rewards", "discounts", "mask")


@dataclasses.dataclass(frozen=True)
class SequenceSpec:
    """The shape of a sequence.

    Attributes:
        observation_size: D, of what the agent observes.
        action_size: A.
        length: T, transitions that train.
        burn_in: Transitions in front of them, over which a recurrent state is unrolled.
        memory: Shape of what the agent carried at the first real row; empty where it carries nothing.
    """

    observation_size: int
    action_size: int
    length: int
    burn_in: int = 0
    memory: tuple[int, ...] = ()

    @property
    def rows(self) -> int:
        """All transitions of a sequence, those of its burn-in included."""
        return self.burn_in + self.length

    def signature(self) -> dict[str, tf.TensorSpec]:
        """Returns the shapes of one sequence.

        `observations` has one row more than the others: the state after the last transition. `actions` are the unclipped Gaussian
        samples and `log_probs` their log-probabilities under the policy that drew them (Retrace's mu). `mask` is 1 for real transitions, 0
        for padding.
        """
        return {
            "observations": tf.TensorSpec((self.rows + 1, self.observation_size), tf.float32),
            "actions": tf.TensorSpec((self.rows, self.action_size), tf.float32),
            **{name: tf.TensorSpec((self.rows,), tf.float32) for name in SCALARS},
            "task": tf.TensorSpec((), tf.int32),
            "learner_step": tf.TensorSpec((), tf.int32),
            **self._memory_signature(),
        }

    def packed_signature(self) -> dict[str, tf.TensorSpec]:
        """Returns the shapes of one packed sequence: what Reverb costs is per array, so two hold everything but the memory.

        A row of `floats` is a state and the transition that starts there; `integers` are task and learner step.
        """
        width = self.observation_size + self.action_size + len(SCALARS)
        return {
            "floats": tf.TensorSpec((self.rows + 1, width), tf.float32),
            "integers": tf.TensorSpec((2,), tf.int32),
            **self._memory_signature(),
        }

    def _memory_signature(self) -> dict[str, tf.TensorSpec]:
        return {"memory": tf.TensorSpec(self.memory, tf.float32)} if self.memory else {}

    def unpack(self, packed: dict[str, Any]) -> dict[str, Any]:
        """Takes packed sequences apart, arrays or tensors with any leading axes; the inverse of how the writer lays them out."""
        floats, integers = packed["floats"], packed["integers"]
        first_scalar = self.observation_size + self.action_size
        return {
            "observations": floats[..., : self.observation_size],
            "actions": floats[..., :-1, self.observation_size : first_scalar],
            **{
                name: floats[..., :-1, first_scalar + column] for column, name in enumerate(SCALARS)
            },
            "task": integers[..., 0],
            "learner_step": integers[..., 1],
            **({"memory": packed["memory"]} if self.memory else {}),
        }


def example_batch(
    spec: SequenceSpec, *, batch_size: int, seed: int, tasks: int = 1
) -> dict[str, Array]:
    """Returns a random batch of the shape that replay gives, to compile, to test and to measure with."""
    stream = np.random.default_rng(seed)
    batch: dict[str, Array] = {}
    for key, part in spec.signature().items():
        shape = (batch_size, *part.shape)
        batch[key] = stream.normal(size=shape).astype(np.float32)
    batch["mask"] = np.ones_like(batch["mask"])
    batch["discounts"] = np.ones_like(batch["discounts"])
    batch["task"] = stream.integers(tasks, size=batch_size).astype(np.int32)
    batch["learner_step"] = np.zeros(batch_size, np.int32)
    return batch

"""The layout of a masked sequence of transitions, for the learner and packed for replay."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from environments.arrays import Array

# The columns of a packed sequence after observation and action, in order; a teacher's action
# comes last.
SCALARS = ("log_probs", "rewards", "task_rewards", "discounts", "mask")


@dataclasses.dataclass(frozen=True)
class SequenceSpec:
    """The shape of a sequence.

    Attributes:
        observation_size: D, size of the agent's observation.
        action_size: A.
        length: T, training transitions.
        burn_in: Transitions before them, over which a recurrent state is unrolled.
        memory: Shape of the agent's memory (recurrent state) at the first real row; empty if the
            agent has none.
        taught: Whether transitions also hold what a teacher would have done.
    """

    observation_size: int
    action_size: int
    length: int
    burn_in: int = 0
    memory: tuple[int, ...] = ()
    taught: bool = False

    @property
    def rows(self) -> int:
        """The number of transitions in a sequence, including its burn-in."""
        return self.burn_in + self.length

    @property
    def width(self) -> int:
        """The numbers in a packed row: a state and the transition that starts there."""
        actions = self.action_size * (2 if self.taught else 1)
        return self.observation_size + actions + len(SCALARS)

    def signature(self) -> dict[str, tf.TensorSpec]:
        """Returns the shapes of one sequence.

        `observations` has one more row than the others, for the state after the last transition.
        `actions` are the unclipped Gaussian samples and `log_probs` their log-probabilities under
        the policy that drew them (Retrace's mu). `mask` is 1 for real transitions, 0 for padding.
        `teacher_actions`, if any, are the teacher's in the same states.
        """
        actions = tf.TensorSpec((self.rows, self.action_size), tf.float32)
        return {
            "observations": tf.TensorSpec((self.rows + 1, self.observation_size), tf.float32),
            "actions": actions,
            **{name: tf.TensorSpec((self.rows,), tf.float32) for name in SCALARS},
            **({"teacher_actions": actions} if self.taught else {}),
            "task": tf.TensorSpec((), tf.int32),
            "learner_step": tf.TensorSpec((), tf.int32),
            **self._memory_signature(),
        }

    def packed_signature(self) -> dict[str, tf.TensorSpec]:
        """Returns the shapes of one packed sequence.

        Reverb's cost is per array, so two hold everything but the memory. A row of `floats` is a
        state and the transition that starts there; `integers` are task and learner step.
        """
        return {
            "floats": tf.TensorSpec((self.rows + 1, self.width), tf.float32),
            "integers": tf.TensorSpec((2,), tf.int32),
            **self._memory_signature(),
        }

    def _memory_signature(self) -> dict[str, tf.TensorSpec]:
        return {"memory": tf.TensorSpec(self.memory, tf.float32)} if self.memory else {}

    def unpack(self, packed: dict[str, Any]) -> dict[str, Any]:
        """Unpacks sequences that the writer packed.

        Args:
            packed: Arrays or tensors with any leading axes.

        Returns:
            The parts of `signature`, with the same leading axes.
        """
        floats, integers = packed["floats"], packed["integers"]
        first_scalar = self.observation_size + self.action_size
        taught = {"teacher_actions": floats[..., :-1, first_scalar + len(SCALARS) :]}
        return {
            "observations": floats[..., : self.observation_size],
            "actions": floats[..., :-1, self.observation_size : first_scalar],
            **{
                name: floats[..., :-1, first_scalar + column] for column, name in enumerate(SCALARS)
            },
            **(taught if self.taught else {}),
            "task": integers[..., 0],
            "learner_step": integers[..., 1],
            **({"memory": packed["memory"]} if self.memory else {}),
        }


def example_batch(
    spec: SequenceSpec, *, batch_size: int, seed: int, tasks: int = 1
) -> dict[str, Array]:
    """Returns a random batch in the shape of replay's, for compiling, tests and benchmarks."""
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

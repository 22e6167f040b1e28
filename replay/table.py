"""The Reverb table of sequences: what an item holds, and when it may be written and sampled."""

from __future__ import annotations

import reverb
import tensorflow as tf

from replay.config import ReplayConfig

TABLE = "sequences"


def signature(config: ReplayConfig, observation_size: int, action_size: int) -> dict[str, tf.TensorSpec]:
    """Returns the shape of one item.

    `observations` has one row more than the others: the state after the last transition. `actions` are the unclipped Gaussian samples and
    `log_probs` their log-probabilities under the policy that drew them (Retrace's mu). `mask` is 1 for real transitions, 0 for padding.
    """
    length = config.sequence_length

    def per_step(*shape: int) -> tf.TensorSpec:
        return tf.TensorSpec((length, *shape), tf.float32)

    return {
        "observations": tf.TensorSpec((length + 1, observation_size), tf.float32),
        "actions": per_step(action_size),
        "log_probs": per_step(),
        "rewards": per_step(),
        "task_rewards": per_step(),
        "discounts": per_step(),
        "mask": per_step(),
        "task": tf.TensorSpec((), tf.int32),
        "learner_step": tf.TensorSpec((), tf.int32),
    }


def make_tables(config: ReplayConfig, observation_size: int, action_size: int, *, batch_size: int) -> list[reverb.Table]:
    """Returns the server's tables: one of sequences, sampled uniformly.

    Args:
        config: How experience is kept.
        observation_size: D.
        action_size: A.
        batch_size: Sequences in a batch of the learner; the limiter lets either side be two batches ahead.

    Returns:
        The tables.
    """
    slack = 2.0 * max(batch_size, config.samples_per_insert)
    limiter = reverb.rate_limiters.SampleToInsertRatio(
        samples_per_insert=config.samples_per_insert,
        min_size_to_sample=config.min_size,
        error_buffer=max(slack, config.samples_per_insert * config.min_size * 0.1),
    )
    return [
        reverb.Table(
            name=TABLE,
            sampler=reverb.selectors.Uniform(),
            remover=reverb.selectors.Fifo(),
            max_size=config.capacity,
            rate_limiter=limiter,
            signature=signature(config, observation_size, action_size),
        )
    ]

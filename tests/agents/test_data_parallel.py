from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from agents.agent import make_agent
from agents.learning import Learner
from replay.sequence import example_batch

_LENGTHS = np.array(
    [3, 1, 2, 3, 2, 3, 1]
)  # real transitions of seven sequences, which neither two threads nor three divide


def _padded_batch(sequence, seed):
    batch = example_batch(sequence, batch_size=len(_LENGTHS), seed=seed, tasks=2)
    batch["mask"] = (np.arange(sequence.rows) < sequence.burn_in + _LENGTHS[:, None]).astype(
        np.float32
    )
    batch["log_probs"] -= 2.0
    for key in ("actions", "log_probs", "rewards", "task_rewards", "discounts"):
        batch[key][batch["mask"] == 0] = 0.0
    return batch


def _far_from_zero(state):
    """Sets every weight in a learner's state far from its initial value."""
    stream = np.random.default_rng(1)
    weights = {
        name: value for name, value in state.items() if name.startswith(("online/", "target/"))
    }
    return {
        **state,
        **{
            name: stream.normal(0.0, 0.5, value.shape).astype(np.float32)
            for name, value in weights.items()
        },
    }


def _assert_same_steps(one, several, state, batches):
    """Makes the same steps with both learners and compares their metrics and states."""
    outcomes = []
    for learner in (one, several):
        learner.restore(state)
        metrics = [learner.step(batch) for batch in batches]
        outcomes.append(
            ({name: [float(part[name]) for part in metrics] for name in metrics[0]}, learner.save())
        )
    (expected_metrics, expected), (metrics, updated) = outcomes
    assert metrics.keys() == expected_metrics.keys()
    for name, values in expected_metrics.items():
        np.testing.assert_allclose(metrics[name], values, rtol=1e-5, atol=1e-6, err_msg=name)
    for name, value in expected.items():
        # Compares whole arrays: where a gradient is close to 0, rounding alone decides how Adam's
        # first steps change the weight.
        error = np.linalg.norm(np.ravel(updated[name] - value)) / max(
            np.linalg.norm(np.ravel(value)), 1e-30
        )
        assert error < 1e-5, f"{name}: {error}"
        if name.startswith(("online/", "target/")):
            assert not np.array_equal(value, state[name]), name


@pytest.fixture
def uncompiled():
    """Runs functions eagerly, to avoid a compilation for every number of threads."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("agent", ["multitask", "rl2", "pearl"])
def test_the_update_and_the_metrics_are_those_of_one_thread(agent, threads, tiny, configured):
    config, sequence = configured(agent)
    one, several = (
        Learner(make_agent(config.agent), tiny.spec, config, seed=3, threads=number)
        for number in (1, threads)
    )
    _assert_same_steps(
        one, several, _far_from_zero(one.save()), [_padded_batch(sequence, seed) for seed in (0, 1)]
    )


@pytest.fixture(scope="module")
def on_two_threads(tiny):
    return Learner(make_agent(tiny.config.agent), tiny.spec, tiny.config, seed=3, threads=2)


def test_the_compiled_update_is_that_of_one_thread(learner, on_two_threads, make_batch):
    _assert_same_steps(
        learner, on_two_threads, _far_from_zero(learner.save()), [make_batch(1), make_batch(2)]
    )


def test_a_batch_that_is_not_finite_in_one_shard_is_skipped_as_a_whole(
    learner, on_two_threads, make_batch
):
    state = _far_from_zero(learner.save())
    on_two_threads.restore(state)
    broken = make_batch(1)
    broken["rewards"][-1, 0] = np.nan
    assert on_two_threads.step(broken)["skipped_steps"] == 1
    for name, value in on_two_threads.save().items():
        if name not in ("learner_step", "skipped_steps"):
            np.testing.assert_array_equal(value, state[name], err_msg=name)

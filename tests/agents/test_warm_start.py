from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from agents.warm_start import check_start, starting_weights
from iwpa.snapshots import Snapshot


def _snapshot(tiny, **changes):
    losses = tiny.config.losses
    given = {
        "step": 7,
        "discount": losses.discount,
        "reward_scale": losses.reward_scale,
        "weights": {},
    }
    return Snapshot(**{**given, "spec": tiny.spec, "networks": tiny.config.networks, **changes})


def test_a_learner_starts_networks_and_targets_from_a_snapshot_and_nothing_else(
    learner, make_batch
):
    learner.step(make_batch(1))
    state = learner.save()
    weights = learner.get_variables(["all"])[0]
    learner.step(make_batch(2))
    fresh = {**state, "learner_step": np.int64(0), "adam/count": np.int64(0)}
    learner.restore(fresh)
    learner.start_from(weights)
    started = learner.save()
    for name, value in weights.items():
        np.testing.assert_array_equal(started[f"online/{name}"], value)
        np.testing.assert_array_equal(started[f"target/{name}"], value)
    assert learner.steps == 0


def test_rows_of_additional_tasks_and_missing_heads_are_drawn_anew():
    weights = {"heads": np.ones((2, 3)), "embedding": np.ones((4, 2)), "prior/w": np.ones((2, 2))}
    names = {"heads": (3, 3), "embedding": (3, 2), "task_reward_heads": (3, 3), "prior/w": (2, 2)}
    started = starting_weights(weights, {name: np.zeros(shape) for name, shape in names.items()})
    np.testing.assert_array_equal(started["heads"], [[1, 1, 1], [1, 1, 1], [0, 0, 0]])
    np.testing.assert_array_equal(started["embedding"], np.ones((3, 2)))
    np.testing.assert_array_equal(started["task_reward_heads"], np.zeros((3, 3)))
    np.testing.assert_array_equal(started["prior/w"], weights["prior/w"])


@pytest.mark.parametrize(("name", "shape"), [("policy/w", (3, 5)), ("embedding", (9, 2))])
def test_weights_of_another_shape_are_refused_by_name(name, shape):
    fresh = {"policy/w": np.zeros((4, 5)), "embedding": np.zeros((9, 3))}
    with pytest.raises(ValueError, match=f"has {name} of shape .*: choose a snapshot that this"):
        starting_weights({name: np.zeros(shape)}, fresh)


def test_different_sizes_are_refused_by_name(tiny):
    check_start(_snapshot(tiny), tiny.spec, tiny.config)
    more = dataclasses.replace(tiny.spec, tasks=5, task_reward_heads=False)
    check_start(_snapshot(tiny), more, tiny.config)
    narrow = dataclasses.replace(tiny.config.networks, policy_layers=(4,))
    with pytest.raises(ValueError, match=r"policy_layers \(4,\), but this run has \(8, 8\)"):
        check_start(_snapshot(tiny, networks=narrow), tiny.spec, tiny.config)
    with pytest.raises(ValueError, match="observation_size 3, but this run has 9"):
        check_start(
            _snapshot(tiny), dataclasses.replace(tiny.spec, observation_size=9), tiny.config
        )
    with pytest.raises(ValueError, match="agent rl2, but this run has multitask"):
        check_start(_snapshot(tiny, agent="rl2"), tiny.spec, tiny.config)

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from agents import playback
from agents.agent import make_agent
from agents.config import default_config
from agents.learning import Learner
from agents.snapshots import write_snapshot
from environments.sparse_navigation import SparseNavigation
from iwpa.network_config import NetworkSpec
from iwpa.snapshots import read_snapshot


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    spec = NetworkSpec(2, (0, 1), 2, tasks=100, task_reward_heads=False)
    config = default_config("sparse_navigation", 20)
    config = dataclasses.replace(
        config, networks=dataclasses.replace(config.networks, min_std=1e-4, max_std=2e-4)
    )
    folder = tmp_path_factory.mktemp("snapshots")
    write_snapshot(
        folder,
        5,
        spec,
        config,
        Learner(make_agent(config.agent), spec, config, 0).get_variables(["all"])[0],
    )
    return folder / "5"


def test_experts_and_prior_act_as_in_their_snapshot(snapshot):
    distribution, observation = SparseNavigation(), np.array([0.3, -0.2], np.float32)
    networks = read_snapshot(snapshot)
    for task in distribution.tasks("train")[:3]:
        act = playback.expert(distribution, task, 0, str(snapshot))
        expected = networks.expert()(observation[None], np.array([task.index])).mean[0]
        np.testing.assert_allclose(act(observation), expected, atol=2e-3)
    act = playback.prior(distribution, distribution.tasks("test")[0], 0, str(snapshot))
    np.testing.assert_allclose(
        act(observation), networks.prior()(observation[None]).mean[0], atol=2e-3
    )
    assert not np.array_equal(act(observation), act(observation))


def test_a_missing_snapshot_or_a_held_out_task_is_named(snapshot):
    distribution = SparseNavigation()
    with pytest.raises(ValueError, match="--snapshot"):
        playback.prior(distribution, distribution.tasks("test")[0], 0, None)
    with pytest.raises(ValueError, match="--split=train"):
        playback.expert(distribution, distribution.tasks("test")[0], 0, str(snapshot))


def test_a_recurrent_agents_snapshot_has_neither_experts_nor_a_prior(tmp_path):
    spec = NetworkSpec(2, (0, 1), 2, tasks=100, task_reward_heads=False)
    config = default_config("sparse_navigation", 20, "rl2")
    write_snapshot(tmp_path, 5, spec, config, {"weight": np.zeros(1, np.float32)})
    distribution = SparseNavigation()
    for policy in (playback.expert, playback.prior):
        with pytest.raises(
            ValueError, match="is of --agent=rl2, which has neither experts nor a prior"
        ):
            policy(distribution, distribution.tasks("train")[0], 0, str(tmp_path / "5"))

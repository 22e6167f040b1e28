from __future__ import annotations

import numpy as np
import pytest

from launch.settings import default_settings


def test_descriptions_are_those_of_the_training_tasks_in_the_order_of_their_ids():
    settings = default_settings("sparse_navigation", critic="task_description")
    assert settings.config.networks.critic == "task_description"
    distribution = settings.distribution()
    angles = np.array([task.parameters[0] for task in distribution.tasks("train")])
    np.testing.assert_allclose(settings.descriptions(distribution), np.stack([np.cos(angles), np.sin(angles)], axis=1), atol=1e-6)


def test_critics_know_tasks_by_id_unless_asked_otherwise():
    settings = default_settings("sparse_navigation")
    assert settings.config.networks.critic == "task_id"
    assert settings.descriptions(settings.distribution()) is None


def test_descriptions_that_an_environment_lacks_are_refused():
    with pytest.raises(ValueError, match="line does not describe its tasks: choose --critic=task_id"):
        default_settings("tiny_distribution:Line", critic="task_description")


@pytest.mark.parametrize("agent", ["rl2", "pearl"])
def test_a_recurrent_agents_run_has_its_own_method_no_heads_and_no_descriptions(agent):
    settings = default_settings("sparse_navigation", agent=agent)
    assert settings.methods == (agent,)
    assert settings.config.trial_episodes == 10
    assert not settings.network_spec(settings.distribution()).task_reward_heads
    assert settings.identity()["config"]["agent"] == agent


def test_agents_methods_and_critics_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match="rl2 needs a run of --agent=rl2"):
        default_settings("sparse_navigation", methods=("prior", "rl2"))
    with pytest.raises(ValueError, match="prior needs a run of --agent=multitask"):
        default_settings("sparse_navigation", agent="rl2", methods=("rl2", "prior"))
    with pytest.raises(ValueError, match="--critic=task_description needs --agent=multitask"):
        default_settings("sparse_navigation", agent="pearl", critic="task_description")

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from agents.adaptation.methods import default_adaptation
from agents.presets import preset
from launch.evaluation import validation_assignment
from launch.settings import default_settings


def test_descriptions_are_those_of_the_training_tasks_in_the_order_of_their_ids():
    settings = default_settings("sparse_navigation", critic="task_description")
    assert settings.config.networks.critic == "task_description"
    distribution = settings.distribution()
    angles = np.array([task.parameters[0] for task in distribution.tasks("train")])
    np.testing.assert_allclose(
        settings.descriptions(distribution),
        np.stack([np.cos(angles), np.sin(angles)], axis=1),
        atol=1e-6,
    )


def test_critics_identify_tasks_by_id_by_default():
    settings = default_settings("sparse_navigation")
    assert settings.config.networks.critic == "task_id"
    assert settings.descriptions(settings.distribution()) is None


def test_a_critic_by_description_is_refused_if_the_environment_has_no_descriptions():
    with pytest.raises(
        ValueError, match="line does not describe its tasks: choose --critic=task_id"
    ):
        default_settings("tiny_distribution:Line", critic="task_description")


@pytest.mark.parametrize("agent", ["rl2", "pearl"])
def test_a_recurrent_agents_run_has_its_own_method_no_heads_and_no_descriptions(agent):
    settings = default_settings("sparse_navigation", agent=agent)
    assert settings.methods == (agent,)
    assert settings.config.trial_episodes == 10
    assert not settings.network_spec(settings.distribution()).task_reward_heads
    assert settings.identity()["config"]["agent"] == agent


def test_incompatible_agents_methods_and_critics_are_refused():
    with pytest.raises(ValueError, match="rl2 needs a run of --agent=rl2"):
        default_settings("sparse_navigation", methods=("prior", "rl2"))
    with pytest.raises(ValueError, match="prior needs a run of --agent=multitask"):
        default_settings("sparse_navigation", agent="rl2", methods=("rl2", "prior"))
    with pytest.raises(ValueError, match="--critic=task_description needs --agent=multitask"):
        default_settings("sparse_navigation", agent="pearl", critic="task_description")


def test_given_hyper_parameters_override_the_preset_and_belong_to_the_identity():
    settings = default_settings(
        "half_cheetah_velocity",
        hyper_parameters={"losses.kl_cost": 0, "losses.kl_target": 0, "learner_steps": 7},
    )
    assert (settings.config.losses.kl_cost, settings.config.losses.discount) == (0.0, 0.98)
    assert settings.learner_steps == 7
    assert settings.identity()["config"]["losses"]["kl_cost"] == 0.0


def test_a_preset_of_another_agent_can_be_given_as_hyper_parameters():
    settings = default_settings(
        "sparse_navigation",
        hyper_parameters=preset("rl2", "sparse_navigation"),
    )
    assert settings == default_settings("sparse_navigation", agent="rl2")
    with pytest.raises(
        ValueError,
        match="--agent=pearl differs from the agent rl2 of the hyper-parameters",
    ):
        default_settings("sparse_navigation", agent="pearl", hyper_parameters={"agent": "rl2"})


def test_given_adaptation_values_apply_to_every_method_in_the_test_but_not_in_validation():
    settings = default_settings("sparse_navigation", adaptation={"ridge": 2.0})
    own = default_adaptation("shared_q_iw_hypotheses", 5, "sparse_navigation")
    assert settings.adaptation_config("shared_q_iw_hypotheses", 5) == dataclasses.replace(
        own,
        ridge=2.0,
    )
    assert settings.operation()["adaptation"] == {"ridge": 2.0}
    validated = validation_assignment(settings, settings.distribution()).config
    assert validated == default_adaptation("shared_q_iw_hypotheses", validated.episodes)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seed": -1}, "seed takes a whole number from 0 to 2147483647, not -1"),
        ({"minutes": math.nan}, "minutes takes a number above 0 .*, not nan"),
        ({"task_set": "mine"}, "mine"),
        (
            {"hyper_parameters": {"losses.kl_csot": 1}},
            "'losses.kl_csot': did you mean losses.kl_cost",
        ),
        (
            {"hyper_parameters": {"replay.capacity": 100}},
            "min_size takes at most the capacity of 100, not 200",
        ),
        (
            {"hyper_parameters": {"replay.burn_in": 5}},
            "replay.burn_in takes 0 with --agent=multitask, not 5",
        ),
        (
            {"agent": "pearl", "hyper_parameters": {"losses.shaping": 2}},
            "losses.shaping takes 0 with --agent=pearl, not 2",
        ),
        (
            {"agent": "rl2", "hyper_parameters": {"trial_episodes": 9}},
            "whole trials: replay.sequence_length takes 180, not 200",
        ),
        (
            {"agent": "rl2", "hyper_parameters": {"replay.burn_in": 20}},
            "whole trials: replay.burn_in takes 0, not 20",
        ),
        (
            {"hyper_parameters": {"straight_episodes": 0.5}},
            "straight_episodes takes 0 with --agent=multitask, not 0.5",
        ),
        (
            {"agent": "pearl", "hyper_parameters": {"replay.context_length": 0}},
            "context_length takes 1 or more",
        ),
        (
            {"hyper_parameters": {"losses.teacher_cost": 0.5}},
            "losses.teacher_cost takes 0 with sparse_navigation, which has no teacher, not 0.5",
        ),
        (
            {"agent": "rl2", "hyper_parameters": {"losses.teacher_cost": 0.5}},
            "losses.teacher_cost takes 0 with --agent=rl2, not 0.5: only multitask has experts",
        ),
        (
            {"adaptation": {"action_samples": 12, "next_action_samples": 12}},
            "Adaptation with shared_q_iw_hypotheses: kl_bound .* below log K",
        ),
        (
            {"adaptation": {"ridge": 1}, "agent": "rl2"},
            "--agent=rl2 adapts without .* leave out adaptation.ridge",
        ),
    ],
)
def test_invalid_values_are_refused_with_their_names(given, message):
    with pytest.raises(ValueError, match=message):
        default_settings("sparse_navigation", **given)

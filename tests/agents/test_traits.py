"""What every agent's traits must satisfy."""

from __future__ import annotations

import re

import pytest

from agents.adaptation.methods import METHODS
from agents.config import OPTIONAL, Config, default_config
from agents.registry import AGENTS, TRAITS
from iwpa.fields import leaves, with_values
from results.selection import SELECTION_METHODS


@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_is_tested_tuned_and_selected_by_methods_that_its_snapshots_serve(agent):
    traits, served = TRAITS[agent], METHODS.served_by(agent)
    assert {*traits.methods, *traits.search_spaces, traits.selection_method} <= {*served}
    assert traits.selection_method in SELECTION_METHODS


def test_each_optional_hyper_parameter_exists_and_some_agent_uses_it():
    assert set().union(*(traits.uses for traits in TRAITS.values())) == OPTIONAL
    assert leaves(Config).keys() >= OPTIONAL


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize(
    ("name", "value", "refusal", "reason"),
    [
        (
            "networks.critic",
            "task_description",
            "--critic=task_description needs --agent=multitask: ",
            "the critic of .+ is not told the task",
        ),
        ("losses.kl_target", 0.5, "losses.kl_target takes 0", ".+ has no prior"),
        ("losses.shaping", 2.0, "losses.shaping takes 0", "only rl2.* shapes? rewards"),
        ("losses.uniform_actions", 8, "losses.uniform_actions takes 0", "only rl2.* draws? them"),
        ("straight_episodes", 0.25, "straight_episodes takes 0", "only rl2 .*pearl.* have them"),
        ("replay.burn_in", 3, "replay.burn_in takes 0", "only rl2.* (has|have) a burn-in"),
        ("replay.context_length", 7, "replay.context_length takes 0", ""),
    ],
)
def test_an_agent_refuses_the_optional_hyper_parameters_that_it_does_not_use(
    agent, name, value, refusal, reason
):
    general = {"losses.kl_cost": 0.01, "replay.burn_in": 0}
    config = with_values(default_config("other", 700, agent), general)
    if name in TRAITS[agent].uses:
        with_values(config, {name: value})
        return
    if "takes" in refusal:
        refusal += f" with --agent={agent}, not {value}" + (": " if reason else "")
    with pytest.raises(ValueError, match=f"^{re.escape(refusal)}{reason}\\.$"):
        with_values(config, {name: value})

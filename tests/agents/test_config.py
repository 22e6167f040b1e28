from __future__ import annotations

import dataclasses
import json

import pytest

from agents.config import Config, LossConfig, default_config
from agents.registry import AGENTS
from environments import load, names
from iwpa.fields import flattened, leaves, with_values
from iwpa.methods.config import AdaptationConfig
from iwpa.network_config import NetworkConfig


@pytest.mark.parametrize("bounds", [(0.0, 0.5), (0.5, 0.5), (0.9, 0.1), (-0.1, 0.5)])
def test_standard_deviations_need_a_floor_above_zero_and_below_their_ceiling(bounds):
    with pytest.raises(ValueError, match=f"min_std takes a number .*not {bounds[0]}"):
        NetworkConfig(min_std=bounds[0], max_std=bounds[1])


@pytest.mark.parametrize("sizes", [{"feature_layers": (64,)}, {"policy_layers": ()}])
def test_networks_without_a_hidden_layer_are_refused(sizes):
    with pytest.raises(ValueError, match=r"_layers takes [12] or more values"):
        NetworkConfig(**sizes)


@pytest.mark.parametrize("wrong", [{"discount": 1.0}, {"discount": -0.1}, {"action_samples": 0}])
def test_a_value_out_of_range_is_refused_and_named(wrong):
    (value,) = wrong.values()
    with pytest.raises(ValueError, match=str(value)):
        LossConfig(**wrong)


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize(
    ("environment", "steps"),
    [
        *((name, load(name).episode_steps) for name in names()),
        ("my_own:environment", 7),
        ("my_own:environment", 500),
    ],
)
def test_defaults_fit_the_episode_and_are_json(environment, steps, agent):
    config = default_config(environment, steps, agent)
    assert config.agent == agent
    assert config.replay.sequence_length <= steps * config.trial_episodes
    # Whole episodes, or a random choice of one's rows.
    assert config.replay.context_length < steps or config.replay.context_length % steps == 0
    json.dumps(config.as_dict())


def test_a_preset_overrides_some_defaults_and_keeps_the_others():
    config = default_config("half_cheetah_velocity", 200)
    assert (config.losses.kl_cost, config.losses.trace_decay) == (0.002, LossConfig().trace_decay)


def test_general_values_keep_their_proportions_where_episodes_are_short():
    multitask, recurrent = (default_config("my_own:it", 5, agent) for agent in ("multitask", "rl2"))
    assert (multitask.replay.sequence_length, recurrent.replay.sequence_length) == (5, 15)
    assert recurrent.replay.capacity == pytest.approx(multitask.replay.capacity / 5 / 3, rel=1e-3)

    def seen(config):
        return config.learner_steps * config.optimiser.batch_size * config.replay.sequence_length

    assert seen(multitask) == pytest.approx(seen(recurrent), rel=1e-5)


@pytest.mark.parametrize("config", [Config(), AdaptationConfig()])
def test_every_hyper_parameter_is_declared_with_a_help_text_and_a_valid_default(config):
    declared = leaves(type(config))
    assert declared.keys() == flattened(dataclasses.asdict(config)).keys()
    assert all(leaf.help.endswith(".") for leaf in declared.values())
    assert with_values(config, {name: leaf.default for name, leaf in declared.items()}) == config

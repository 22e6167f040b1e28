from __future__ import annotations

import json

import pytest

from agents.config import LossConfig, NetworkConfig, default_config


@pytest.mark.parametrize("bounds", [(0.0, 0.5), (0.5, 0.5), (0.9, 0.1), (-0.1, 0.5)])
def test_standard_deviations_need_a_floor_below_their_ceiling(bounds):
    with pytest.raises(ValueError, match=f"not {bounds[0]} and {bounds[1]}"):
        NetworkConfig(min_std=bounds[0], max_std=bounds[1])


@pytest.mark.parametrize("sizes", [{"feature_layers": (64,)}, {"policy_layers": ()}])
def test_networks_without_a_hidden_layer_are_refused(sizes):
    with pytest.raises(ValueError, match="feature_layers needs two sizes or more"):
        NetworkConfig(**sizes)


@pytest.mark.parametrize("wrong", [{"discount": 1.0}, {"discount": -0.1}, {"action_samples": 0}])
def test_an_objective_of_no_use_is_refused_with_its_value(wrong):
    (value,) = wrong.values()
    with pytest.raises(ValueError, match=str(value)):
        LossConfig(**wrong)


@pytest.mark.parametrize(("environment", "steps"), [("sparse_navigation", 20), ("my_own:environment", 7), ("my_own:environment", 500)])
def test_defaults_fit_the_episode_and_are_json(environment, steps):
    config = default_config(environment, steps)
    assert config.replay.sequence_length <= steps
    json.dumps(config.as_dict())

from __future__ import annotations

import pytest

from agents.adaptation.config import AdaptationConfig, changed


def test_values_are_changed_by_name():
    config = changed(AdaptationConfig(), {"kl_bound": 2, "soft_values": True, "action_samples": 32})
    assert (config.kl_bound, config.soft_values, config.action_samples) == (2.0, True, 32)
    assert isinstance(config.kl_bound, float)
    assert config.digest() == AdaptationConfig(kl_bound=2.0, soft_values=True, action_samples=32).digest()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"speed": 3}, "no hyper-parameter 'speed': choose from episodes, action_samples"),
        ({"action_samples": 2.5}, "action_samples takes a value of type int, not 2.5"),
        ({"soft_values": 1}, "soft_values takes a value of type bool, not 1"),
        ({"kl_bound": "large"}, "kl_bound takes a value of type float, not 'large'"),
        ({"kl_bound": 5.0}, "not 5.0"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_value(changes, message):
    with pytest.raises(ValueError, match=message):
        changed(AdaptationConfig(), changes)

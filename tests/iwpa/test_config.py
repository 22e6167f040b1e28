from __future__ import annotations

import pytest

from agents.adaptation.methods import NAMES, default_adaptation
from iwpa.fields import read_values, with_values
from iwpa.methods import registry
from iwpa.methods.config import AdaptationConfig


def test_equal_configs_have_equal_digests():
    config = with_values(
        AdaptationConfig(),
        {"kl_bound": 2, "soft_values": True, "action_samples": 32},
    )
    assert (
        config.digest()
        == AdaptationConfig(kl_bound=2.0, soft_values=True, action_samples=32).digest()
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"speed": 3}, "no hyper-parameter 'speed': did you mean"),
        ({"action_samples": 2.5}, "action_samples takes a whole number from 2 to 4096, not 2.5"),
        ({"ridge": -5.0}, "ridge takes .* not -5.0"),
        (
            {"kl_bound": 5.0},
            "kl_bound takes a number below log K = 4.16 of action_samples, not 5.0",
        ),
        (
            {"next_action_samples": 65},
            "next_action_samples takes at most the 64 of action_samples, not 65",
        ),
    ],
)
def test_an_invalid_value_is_refused_and_named(changes, message):
    with pytest.raises(ValueError, match=message):
        with_values(AdaptationConfig(), changes)


def test_an_environments_preset_overrides_a_methods_defaults(tmp_path, monkeypatch):
    assert default_adaptation("distral", 7) == AdaptationConfig(episodes=7, learning_rate=1e-3)
    assert default_adaptation("distral", 7, "sparse_navigation") == default_adaptation(
        "distral",
        7,
        "my_own:environment",
    )
    known = read_values(registry._PRESETS / "default.json")
    assert {name.partition(".")[0] for name in known} <= set(NAMES)
    (tmp_path / "default.json").write_text(
        '{"distral": {"learning_rate": 0.1, "kl_cost": 0.2}}',
    )
    (tmp_path / "desert.json").write_text('{"distral": {"kl_cost": 0.3}}')
    monkeypatch.setattr(registry, "_PRESETS", tmp_path)
    assert default_adaptation("distral", 7, "desert") == AdaptationConfig(
        episodes=7,
        learning_rate=0.1,
        kl_cost=0.3,
    )
    assert default_adaptation("prior", 7, "desert") == AdaptationConfig(episodes=7)

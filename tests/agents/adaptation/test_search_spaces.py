from __future__ import annotations

import pytest

from agents.adaptation.methods import METHODS, default_adaptation
from agents.adaptation.search_spaces import CONFIGURATIONS, SEARCH_SPACES, configurations
from iwpa.snapshots import DEFAULT_AGENT


@pytest.mark.parametrize("method", SEARCH_SPACES)
def test_every_method_has_equally_many_configurations_including_its_default(method):
    tried = configurations(method, 7)
    assert len({config.digest() for config in tried}) == len(tried) == CONFIGURATIONS == 16
    assert default_adaptation(method, 7) in tried
    assert {config.episodes for config in tried} == {7}


def test_every_method_that_has_something_to_tune_has_a_space():
    assert {*SEARCH_SPACES, "prior"} == {*METHODS.served_by(DEFAULT_AGENT)}
    with pytest.raises(ValueError, match="nothing to tune in 'prior'"):
        configurations("prior", 3)

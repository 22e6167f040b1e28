"""CONTRIBUTING's walk-throughs, followed with the code on the page."""

from __future__ import annotations

import re
import textwrap

import numpy as np
import pytest
from program import ROOT

import iwpa
from iwpa.methods import registry
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.start import Start
from iwpa.randomness import Replica
from iwpa.task import Task

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def block(marker: str) -> str:
    """Returns the Python block that contains a text."""
    blocks = re.findall(r"```python\n(.*?)^ *```", TEXT, flags=re.DOTALL | re.MULTILINE)
    (found,) = (one for one in blocks if marker in one)
    return textwrap.dedent(found)


def test_the_method_acts_by_the_mean_of_the_training_heads_and_learns_nothing():
    names = {**vars(registry), "__name__": "iwpa.methods.mean_head"}
    exec(block("class MeanHead"), names)
    exec(block("def _shared_q_iw_mean"), names)
    snapshot = iwpa.load("sparse_navigation").snapshot
    replicas = [Replica("test", Task(0, ()), seed) for seed in range(3)]
    start = Start(snapshot, AdaptationConfig(episodes=1), replicas, 20, 0)
    method = names["_shared_q_iw_mean"](start)
    before = method.state()["critic/head/weights"]
    assert before == pytest.approx(np.tile(snapshot.task_heads().mean(axis=0), (3, 1)))
    observations = np.zeros((3, 2), np.float32)
    method.begin_episode(observations, [np.random.default_rng(seed) for seed in range(3)])
    actions = method.act()
    assert actions.shape == (3, 2)
    assert np.isfinite(actions).all()


def test_the_agent_pays_nothing_for_entropy(monkeypatch):
    from agents.losses import Costs, Inputs
    from agents.rl2 import agent, loss

    names = {"__name__": "agents.rl2_sharp.agent"}
    monkeypatch.setattr(loss, "total_loss", lambda *arguments: arguments[2].costs)
    exec(block("AGENT ="), names)
    costs = names["AGENT"].total_loss(None, None, Inputs({}, None, Costs(0.5, 0.25)), None)
    assert costs == Costs(0.5, 0.0)
    assert names["AGENT"].groups == agent.AGENT.groups


def test_the_agent_has_the_traits_of_rl2_but_a_method_of_its_own():
    from agents import rl2

    names = {"__name__": "agents.rl2_sharp"}
    exec(block("TRAITS ="), names)
    assert names["TRAITS"].selection_method == "rl2_sharp"
    assert names["TRAITS"].uses == rl2.TRAITS.uses

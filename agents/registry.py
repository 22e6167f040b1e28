"""Looks up agents by name."""

from __future__ import annotations

import dataclasses
import functools

from agents import multitask, pearl, rl2
from agents.agent import Agent
from agents.networks import MultiTaskNetworks
from environments.arrays import Array

_AGENTS = {"multitask": multitask.AGENT, "rl2": rl2.AGENT, "pearl": pearl.AGENT}


def make_agent(name: str, descriptions: Array | None = None) -> Agent:
    """Returns the agent of a name.

    Args:
        name: One of `agents.config.AGENTS`.
        descriptions: g_i of the training tasks, `[tasks, G]`, if the critic tells tasks apart by
            their descriptions; otherwise it does so by their ids, or not at all.
    """
    agent = _AGENTS[name]
    if descriptions is None:
        return agent
    return dataclasses.replace(
        agent, make_networks=functools.partial(MultiTaskNetworks, descriptions=descriptions)
    )

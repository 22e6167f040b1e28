"""PEARL, as the program trains it."""

from __future__ import annotations

from agents.agent import Agent
from agents.config import Config
from agents.pearl.behaviour import LatentBehaviour
from agents.pearl.encoders import context_width
from agents.pearl.loss import draw_noise, total_loss
from agents.pearl.networks import LatentNetworks
from iwpa.network_config import NetworkSpec
from replay.sequence import SequenceSpec


def _sequence(spec: NetworkSpec, config: Config) -> SequenceSpec:
    memory = (config.replay.context_length, context_width(spec) + 1)
    return SequenceSpec(
        spec.observation_size, spec.action_size, config.replay.sequence_length, memory=memory
    )


AGENT = Agent(
    groups=("critic", "encoder", "policy"),
    acting_groups=("encoder", "policy"),
    make_networks=LatentNetworks,
    draw_noise=draw_noise,
    total_loss=total_loss,
    sequence=_sequence,
    make_behaviour=LatentBehaviour,
    episodes_per_task=lambda config: config.trial_episodes,
)

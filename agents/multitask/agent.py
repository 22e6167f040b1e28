"""The multi-task agent, as the program trains it."""

from __future__ import annotations

from agents import losses
from agents.agent import Agent
from agents.config import Config
from agents.multitask.behaviour import ExpertBehaviour
from agents.multitask.loss import keep_statistics, total_loss
from agents.multitask.networks import MultiTaskNetworks
from iwpa.network_config import NetworkSpec
from replay.sequence import SequenceSpec


def _sequence(spec: NetworkSpec, config: Config) -> SequenceSpec:
    return SequenceSpec(
        spec.observation_size,
        spec.action_size,
        config.replay.sequence_length,
        taught=config.losses.teacher_cost > 0,
    )


AGENT = Agent(
    groups=("critic", "expert", "prior"),
    acting_groups=("expert",),
    make_networks=MultiTaskNetworks,
    draw_noise=losses.draw_noise,
    total_loss=total_loss,
    sequence=_sequence,
    make_behaviour=lambda spec, config, environments, seed: ExpertBehaviour(config, environments),
    keep_statistics=keep_statistics,
    ships_transitions=True,
)

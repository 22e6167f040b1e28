"""RL2, as the program trains it."""

from __future__ import annotations

from agents import losses
from agents.agent import Agent
from agents.config import Config
from agents.rl2.behaviour import RecurrentBehaviour
from agents.rl2.loss import total_loss
from agents.rl2.networks import RecurrentNetworks
from environments import TrialBatch
from iwpa.network_config import NetworkSpec
from iwpa.recurrent_networks import trial_observation_size
from replay.sequence import SequenceSpec


def _sequence(spec: NetworkSpec, config: Config) -> SequenceSpec:
    observed = trial_observation_size(spec.observation_size, spec.action_size)
    memory = (4 * config.networks.recurrent_size,)
    return SequenceSpec(
        observed, spec.action_size, config.replay.sequence_length, config.replay.burn_in, memory
    )


AGENT = Agent(
    groups=("critic", "policy"),
    acting_groups=("critic", "policy"),
    make_networks=RecurrentNetworks,
    draw_noise=losses.draw_noise,
    total_loss=total_loss,
    sequence=_sequence,
    make_behaviour=RecurrentBehaviour,
    make_environments=lambda environments, config: TrialBatch(
        environments, config.trial_episodes, config.losses.reward_scale
    ),
)

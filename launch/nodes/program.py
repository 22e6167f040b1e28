"""The program's graph: its nodes and which of them call each other.

The launchers decide where the nodes run.
"""

from __future__ import annotations

import launchpad as lp

from agents.agent import make_agent
from launch.nodes.actor import ActorNode
from launch.nodes.learner import LearnerNode
from launch.nodes.replay import ReplayNode
from launch.nodes.validation import ValidationNode
from launch.run import Run

# When one of these nodes restarts, so do its callers: Reverb clients can hang after an outage, and
# the learner must resume from the checkpoint that replay was restored from.
REBORN = ("replay-0",)


def make_program(run: Run, *, validation_nodes: int = 1) -> lp.Program:
    """Returns the training program: replay, learner, actors and validation nodes.

    Args:
        run: The run to train.
        validation_nodes: Number of validation nodes.

    Returns:
        The Launchpad program.
    """
    directory, settings, config = run.directory, run.settings, run.settings.config
    agent = make_agent(config.agent, settings.descriptions(run.distribution))
    program = lp.Program("iwpa")
    with program.group("replay"):
        sequence = agent.sequence(settings.network_spec(run.distribution), config)
        replay = program.add_node(
            ReplayNode(directory, config.replay, sequence, config.optimiser.batch_size)
        )
    with program.group("learner"):
        learner = program.add_node(lp.CourierNode(LearnerNode, directory, settings, agent, replay))
    with program.group("actor"):
        for index in range(settings.actors):
            program.add_node(
                lp.PyClassNode(ActorNode, directory, settings, agent, index, replay, learner)
            )
    with program.group("validation"):
        for index in range(validation_nodes):
            program.add_node(lp.PyClassNode(ValidationNode, directory, settings, index))
    return program

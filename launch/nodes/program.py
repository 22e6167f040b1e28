"""The program's graph: which nodes there are and who knows whom. The launchers decide where they run."""

from __future__ import annotations

import launchpad as lp

from agents.registry import make_agent
from launch.nodes.actor import ActorNode
from launch.nodes.learner import LearnerNode
from launch.nodes.replay import ReplayNode
from launch.nodes.validation import ValidationNode
from launch.run_directory import RunDirectory
from launch.settings import RunSettings

# Clients of Reverb can stay stuck after an outage, and a learner must go on from the checkpoint that its replay was restored from.
REBORN = ("replay-0",)


def make_program(
    run: RunDirectory, settings: RunSettings, *, validation_nodes: int = 1
) -> lp.Program:
    """Returns the training program: replay, learner, actors and validation nodes.

    Args:
        run: The run directory.
        settings: The run.
        validation_nodes: How many.

    Returns:
        The Launchpad program.
    """
    distribution, config = settings.distribution(), settings.config
    agent = make_agent(config.agent, settings.descriptions(distribution))
    program = lp.Program("iwpa")
    with program.group("replay"):
        sequence = agent.sequence(settings.network_spec(distribution), config)
        replay = program.add_node(
            ReplayNode(run, config.replay, sequence, config.optimiser.batch_size)
        )
    with program.group("learner"):
        learner = program.add_node(lp.CourierNode(LearnerNode, run, settings, agent, replay))
    with program.group("actor"):
        for index in range(settings.actors):
            program.add_node(
                lp.PyClassNode(ActorNode, run, settings, agent, index, replay, learner)
            )
    with program.group("validation"):
        for index in range(validation_nodes):
            program.add_node(lp.PyClassNode(ValidationNode, run, settings, index))
    return program

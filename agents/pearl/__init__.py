"""PEARL* (Rakelly et al. 2019, as the paper compares it): policy and critic get z ~ q(z|c).

z encodes the task, inferred from a context c: the transitions of the task so far. The paper encodes
them by an LSTM instead of PEARL's product of factors (`networks.encoder` chooses either), and
trains by Retrace and SVG(0) instead of SAC.
"""

from __future__ import annotations

from agents.traits import Traits

TRAITS = Traits(
    uses=frozenset({"replay.context_length", "straight_episodes"}),
    methods=("pearl",),
    selection_method="pearl",
    learner_step_seconds=0.02,
)

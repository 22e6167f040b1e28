"""RL2 (Duan et al. 2016) on IWPA's learner: policy and critic remember all episodes of a task.

It is trained off-policy instead of by RL2's TRPO: recurrent Retrace and SVG(0) from stored states
and a burn-in (R2D2, Kapturowski et al. 2019).
"""

from __future__ import annotations

from agents.traits import Traits

TRAITS = Traits(
    uses=frozenset(
        {"losses.shaping", "losses.uniform_actions", "replay.burn_in", "straight_episodes"}
    ),
    methods=("rl2",),
    selection_method="rl2",
    learner_step_seconds=0.033,
)

"""IWPA's agent: critic, experts and behaviour prior of many tasks (paper section 2, appendix A)."""

from __future__ import annotations

from agents.multitask.search_spaces import SEARCH_SPACES
from agents.traits import Traits

TRAITS = Traits(
    uses=frozenset({"networks.critic", "losses.kl_target", "losses.teacher_cost"}),
    methods=("prior", "shared_q_iw", "shared_q_iw_hypotheses"),
    selection_method="shared_q_iw_hypotheses",
    learner_step_seconds=0.012,  # On two cores and two threads, on navigation and half-cheetah.
    has_levels=True,
    has_task_reward_heads=True,
    search_spaces=SEARCH_SPACES,
)

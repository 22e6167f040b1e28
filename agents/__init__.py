"""The agents: networks, losses, the learner, the batched actor, snapshots and adaptation."""

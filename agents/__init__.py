"""Networks, losses, the multi-task learner, the batched actor, snapshots and adaptation."""

"""The learning algorithm: networks, losses, the multi-task learner, the actor, snapshots and adaptation."""

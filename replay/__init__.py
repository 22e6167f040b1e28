"""Sequences of experience on their way from the actors to the learner."""

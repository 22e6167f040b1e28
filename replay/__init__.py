"""Carries sequences of experience from the actors to the learner."""

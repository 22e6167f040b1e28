"""Adaptation methods that train no network."""

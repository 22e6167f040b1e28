"""Supervision of a multi-process program on one or many hosts, whatever its processes do."""

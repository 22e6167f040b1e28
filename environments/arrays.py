"""The type of every numpy array, which is iwpa's."""

from iwpa.arrays import Array

__all__ = ["Array"]

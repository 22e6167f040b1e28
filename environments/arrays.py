"""The type of every numpy array, defined in iwpa."""

from iwpa.arrays import Array

__all__ = ["Array"]

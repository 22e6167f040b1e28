"""The type of every numpy array in `iwpa`, whose docstrings give shapes and contents."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]


def rows_of(active: Array) -> slice | Array:
    """Returns an index of the active rows `[R]`: a slice, which copies nothing, if all are."""
    return slice(None) if active.all() else np.flatnonzero(active)

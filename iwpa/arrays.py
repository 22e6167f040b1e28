"""The type of every numpy array in `iwpa`; docstrings give shapes and contents."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

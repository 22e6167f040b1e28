"""The descriptions of training tasks, which a critic may see (paper section 2, value transfer)."""

from __future__ import annotations

import reprlib

import numpy as np

from environments.arrays import Array
from environments.distribution import TaskDistribution
from environments.layout import LARGEST_SQUARED
from environments.wording import described


def descriptions(distribution: TaskDistribution) -> Array | None:
    """Returns g of every training task, float32 `[tasks, G]`, or None if the distribution has none.

    Raises:
        ValueError: If one is missing, is not a vector of finite numbers, or differs in length.
    """
    found = [_description(distribution, index) for index in range(len(distribution.tasks("train")))]
    known = [vector for vector in found if vector is not None]
    if not known:
        return None
    for index, vector in enumerate(found):
        if vector is None:
            raise ValueError(
                f"description() of training task {index} is None, but others are not: "
                "describe all of them, or none."
            )
        if len(vector) != len(known[0]):
            raise ValueError(
                f"description() of training task {index} has {len(vector)} numbers, "
                f"that of task 0 has {len(known[0])}: give all the same length, e.g. with zeros."
            )
    return np.stack(known)


def _description(distribution: TaskDistribution, index: int) -> Array | None:
    name = f"description() of training task {index}"
    try:
        given = distribution.description(distribution.tasks("train")[index])
        if given is None:
            return None
        vector = np.asarray(given)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ValueError(
            f"{name} raises {described(error)}: return a vector of numbers, or None."
        ) from error
    numeric = (
        vector.dtype == np.bool_
        or np.issubdtype(vector.dtype, np.integer)
        or np.issubdtype(vector.dtype, np.floating)
    )
    if vector.ndim != 1 or not vector.size or not numeric:
        raise ValueError(
            f"{name} is {reprlib.repr(given)}: return a vector of numbers, e.g. np.array([3.0])."
        )
    if not (np.abs(vector) <= LARGEST_SQUARED).all():
        raise ValueError(
            f"{name} is {reprlib.repr(given)}: return finite numbers of the order of 1."
        )
    floats: Array = vector.astype(np.float32)
    return floats

from __future__ import annotations

import numpy as np
import pytest
from walks import assert_found, changed

from environments.descriptions import descriptions


def _described(*values):
    return changed(description=lambda task: values[task.index])


def test_descriptions_are_float32_in_the_order_of_the_tasks():
    found = descriptions(_described([1, 2], np.array([3.0, 4.0]), (True, np.int64(6))))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[1, 2], [3, 4], [1, 6]])
    assert descriptions(changed()) is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (([1.0], [np.nan], [2.0]), r"of training task 1 is \[nan\]: return finite numbers"),
        (
            ([1.0], [2.0], [1e30]),
            r"of training task 2 is \[1e\+30\]: return finite numbers of the order of 1",
        ),
        (
            ([1.0], 2.0, [3.0]),
            r"of training task 1 is 2.0: return a vector of numbers, e.g. np.array\(\[3.0\]\)",
        ),
        (([1.0], [2.0], [[3.0]]), "of training task 2 is .*: return a vector"),
        (([], [], []), r"of training task 0 is \[\]: return a vector"),
        ((["a"], [2.0], [3.0]), r"of training task 0 is \['a'\]: return a vector"),
        (([1.0], [[1.0], 2.0], [3.0]), "of training task 1 raises ValueError"),
        (
            ([1.0], [2.0, 3.0], [4.0]),
            "of training task 1 has 2 numbers, that of task 0 has 1: give all the same length",
        ),
        (
            ([1.0], None, [3.0]),
            "of training task 1 is None, but others are not: describe all of them, or none",
        ),
        (([1.0], [2.0]), "of training task 2 raises IndexError"),
    ],
)
def test_bad_descriptions_are_named_by_the_check(values, words):
    assert_found(_described(*values), rf"^description\(\) {words}")

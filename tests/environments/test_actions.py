from __future__ import annotations

import numpy as np
import pytest
from dm_env import specs

from environments.actions import ActionMap

_ONE = np.float32(1)
_EDGES = np.array(
    [
        -1,
        1,
        *np.nextafter([-_ONE, _ONE], np.float32(0)),
        *np.nextafter([-_ONE, _ONE], np.float32([-2, 2])),
    ],
    np.float32,
)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    "bounds", [(-1, 1), (0.1, 0.7), (-1e9, 1e9), (-0.3, 1e-7), (-10.1, -10.05), (3, 3)]
)
def test_at_its_edges_an_action_keeps_the_bounds_and_the_type_of_its_specification(bounds, dtype):
    if dtype is np.float16 and max(bounds) == 1e9:
        bounds = (-60_000, 60_000)
    spec = specs.BoundedArray((1,), dtype, *bounds)
    for action in ActionMap(spec, "walks").own(_EDGES[:, None]):
        spec.validate(action)
        spread = float(spec.maximum) - float(spec.minimum)
        assert min(
            abs(float(action[0]) - float(end)) for end in (spec.minimum, spec.maximum)
        ) <= 1e-3 * max(spread, 1e-2)


def test_an_environment_may_change_the_action_that_it_is_given():
    bounds = ActionMap(specs.BoundedArray((2,), np.float32, -1, 1), "walks")
    given = np.full((3, 2), 0.5, np.float32)
    own = bounds.own(given)
    own[0] *= 0.2
    np.testing.assert_array_equal(given, 0.5)
    np.testing.assert_array_equal(own[1:], 0.5)
    np.testing.assert_array_equal(bounds.own(given), 0.5)


@pytest.mark.parametrize(
    "largest", [np.finfo(np.float32).max, 1e10, np.nextafter(np.float32(1e9), np.float32(2e9))]
)
def test_bounds_that_mean_none_are_refused(largest):
    for low, high in ((-largest, largest), (0, largest), (-largest, 0)):
        with pytest.raises(
            ValueError,
            match=r"The actions of walks need finite bounds of at most 1e\+09, not .*: .* give the part of it",
        ):
            ActionMap(specs.BoundedArray((1,), np.float32, low, high), "walks")


def test_an_action_of_no_component_is_refused():
    with pytest.raises(
        ValueError,
        match=r"The actions of walks have the shape \(0,\), no component: give at least one",
    ):
        ActionMap(specs.BoundedArray((0,), np.float32, -1, 1), "walks")

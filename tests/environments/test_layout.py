from __future__ import annotations

import numpy as np
import pytest
from dm_env import specs

from environments import ObservationGroups, ObservationLayout

_SPEC = {
    "velocity": specs.Array((2,), np.float64),
    "camera": specs.Array((4, 4), np.float64),
    "pose": specs.Array((2, 2), np.float64),
    "height": specs.Array((), np.float64),
}


def test_keys_lie_in_alphabetical_order_and_what_the_expert_does_not_see_is_left_out():
    layout = ObservationLayout(
        _SPEC,
        ObservationGroups(expert=("velocity", "pose", "height"), prior=("velocity", "height")),
    )
    row = np.zeros(7, np.float32)
    observation = {
        "velocity": np.array([6.0, 7.0]),
        "pose": np.array([[2.0, 3.0], [4.0, 5.0]]),
        "height": np.array(1.0),
    }
    layout.write({**observation, "camera": np.full((4, 4), 99.0)}, row)
    assert layout.size == 7
    np.testing.assert_array_equal(row, [1, 2, 3, 4, 5, 6, 7])
    np.testing.assert_array_equal(row[list(layout.prior_columns)], [1, 6, 7])


def test_groups_must_name_what_is_observed():
    with pytest.raises(
        ValueError,
        match=r"groups or scales name \['touch'\], but the environment gives \['camera', 'height', 'pose', 'velocity'\]",
    ):
        ObservationLayout(_SPEC, ObservationGroups(expert=("pose", "touch"), prior=()))


def test_the_prior_must_not_see_more_than_the_expert():
    with pytest.raises(ValueError, match=r"prior sees \['pose'\], which the expert does not"):
        ObservationLayout(
            _SPEC, ObservationGroups(expert=("velocity",), prior=("velocity", "pose"))
        )


def test_a_key_is_read_back_from_a_row_without_its_scale():
    layout = ObservationLayout(
        _SPEC,
        ObservationGroups(expert=("velocity", "height"), prior=("height",)),
        {"velocity": 0.25},
    )
    row = np.zeros(3, np.float32)
    layout.write({"velocity": np.array([6.0, 7.0]), "height": np.array(1.0)}, row)
    np.testing.assert_array_equal(row, [1.0, 1.5, 1.75])
    np.testing.assert_array_equal(layout.read(row, "velocity"), [6.0, 7.0])
    np.testing.assert_array_equal(layout.read(row, "height"), [1.0])


@pytest.mark.parametrize("prior", [(), ("nothing",)])
def test_a_prior_that_sees_no_number_is_refused(prior):
    spec = {**_SPEC, "nothing": specs.Array((0,), float)}
    with pytest.raises(
        ValueError,
        match=r"The prior sees no number, observation_groups.prior is \(.*\): let it see at least one",
    ):
        ObservationLayout(spec, ObservationGroups(expert=("height", "nothing"), prior=prior))


def test_lists_and_other_types_of_numbers_are_written_as_float32():
    layout = ObservationLayout(_SPEC, ObservationGroups(expert=tuple(_SPEC), prior=("height",)))
    row = np.zeros(23, np.float32)
    layout.write(
        {
            "camera": np.eye(4, dtype=bool),
            "height": 3,
            "pose": [[1, 2], [3, 4]],
            "velocity": np.array([5, 6], np.int64),
        },
        row,
    )
    np.testing.assert_array_equal(row, [*np.eye(4).ravel(), 3, 1, 2, 3, 4, 5, 6])

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import iwpa
from iwpa.experience import Experience
from iwpa.methods.paid_places import PaidPlaces, paid_places


def test_a_payment_speaks_for_the_tasks_near_what_it_reads():
    descriptions = np.array([[0.0, 0.0], [1.0, 2.0]])
    # It reads (x, 2 y + 1) off the features (x, y, 1) and errs by 0.5 and 2.
    weights = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 1.0]])
    places = PaidPlaces(descriptions, weights, np.array([0.5, 2.0]))
    found = places.surprise(np.array([[1.0, 0.5, 1.0]]))
    np.testing.assert_allclose(found, [[(1 / 0.5) ** 2 + (2 / 2) ** 2, 0.0]])


def trained(rewards, count=400):
    """Returns reach's snapshot with transitions of random tasks and places, paid as given."""
    snapshot = iwpa.load("reach").snapshot
    stream = np.random.default_rng(0)
    observations = stream.normal(size=(count, snapshot.spec.observation_size)).astype(np.float32)
    actions = stream.uniform(-1, 1, (count, snapshot.spec.action_size)).astype(np.float32)
    tasks = np.arange(count) % 40
    paid = np.full(count, rewards, np.float32)
    experience = Experience(observations, actions, observations, paid, tasks.astype(np.int32))
    return dataclasses.replace(snapshot, experience=experience)


def test_descriptions_that_are_linear_in_the_features_are_read_without_error():
    snapshot = trained(1.0, count=4000)
    experience = snapshot.experience
    features = snapshot.features()(experience.observations, experience.actions)
    # One transition of each task: what it reads is then exactly the task's description.
    first = features[:40].astype(np.float64)
    descriptions = first[:, :2] + 0.5
    tasks = np.arange(40)
    one_each = dataclasses.replace(
        snapshot,
        experience=Experience(
            *(
                part[:40]
                for part in (
                    experience.observations,
                    experience.actions,
                    experience.next_observations,
                    experience.rewards,
                )
            ),
            tasks.astype(np.int32),
        ),
    )
    places = paid_places(one_each, descriptions)
    assert places is not None
    read = first @ places.weights
    spread = descriptions.std(axis=0)
    assert (np.abs(read - descriptions).mean(axis=0) < 0.3 * spread).all()
    assert (places.noise < spread).all()


def test_descriptions_unrelated_to_the_features_are_known_to_be_read_badly():
    snapshot = trained(1.0)
    descriptions = np.random.default_rng(1).normal(size=(40, 2))
    places = paid_places(snapshot, descriptions)
    assert places is not None
    # Nothing is better than their mean, which errs by their spread.
    assert (places.noise > 0.9 * descriptions.std(axis=0)).all()


@pytest.mark.parametrize("rewards", [0.0, -1.0])
def test_without_payments_there_are_no_places(rewards):
    assert paid_places(trained(rewards), np.zeros((40, 2))) is None


def test_without_transitions_there_are_no_places():
    snapshot = dataclasses.replace(iwpa.load("reach").snapshot, experience=None)
    assert paid_places(snapshot, np.zeros((40, 2))) is None


def test_reach_reads_a_target_to_three_centimetres_off_a_payment():
    snapshot = iwpa.load("reach").snapshot
    places = paid_places(snapshot, snapshot.weights["embedding"])
    assert places is not None
    # Its descriptions are targets in standard deviations of 0.117, 0.117 and 0.113 m.
    assert (places.noise < 0.03 / 0.117).all()


def test_what_is_the_same_in_all_tasks_tells_none_from_another():
    descriptions = np.random.default_rng(1).normal(size=(40, 2))
    descriptions[:, 1] = 0.0
    places = paid_places(trained(1.0), descriptions)
    assert places is not None
    without = paid_places(trained(1.0), descriptions[:, :1])
    assert without is not None
    features = np.random.default_rng(2).normal(size=(3, len(places.weights)))
    np.testing.assert_allclose(places.surprise(features), without.surprise(features))

from __future__ import annotations

import sys

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from environments import EnvironmentBatch, ObservationGroups, Task, draw_task_set
from environments.conformance import check, examine
from environments.gymnasium_adapter import GymnasiumDistribution

_STEPS = 30


class Rocket(gymnasium.Env):
    """Observed as a dictionary; lands, which ends it, when it falls below the ground that the task sets."""

    observation_space = spaces.Dict(
        {"height": spaces.Box(-9, 9, (), np.float64), "wind": spaces.Box(-1, 1, (1, 2), np.float32)}
    )
    action_space = spaces.Box(np.array([-2.0]), np.array([4.0]), dtype=np.float64)

    def __init__(self, ground, cut=None):
        self.ground, self.cut = ground, cut
        self.closed = False

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.height, self.steps = 1.0 + 0.01 * self.np_random.normal(), 0
        return self._observation(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.height += 0.1 * action[0]
        self.steps += 1
        return (
            self._observation(),
            -abs(self.height - self.ground),
            bool(self.height < self.ground),
            self.steps == self.cut,
            {},
        )

    def close(self):
        self.closed = True

    def _observation(self):
        return {
            "height": np.array(self.height),
            "wind": self.np_random.uniform(-1, 1, (1, 2)).astype(np.float32),
        }


def _rockets(make=lambda parameters: Rocket(*parameters), steps=_STEPS):
    keys = ("height", "wind")
    return GymnasiumDistribution(
        name="rockets",
        make=make,
        task_set=draw_task_set(
            lambda stream: (float(stream.uniform(-0.5, 0.5)),),
            seed=0,
            sizes={"train": 3, "validation": 1, "test": 2},
        ),
        episode_steps=steps,
        worst_reward=-20.0,
        observation_groups=ObservationGroups(keys, ("height",)),
        observation_scales={"wind": 2.0},
    )


def _pendulums(key="g", steps=_STEPS):
    return GymnasiumDistribution(
        name="pendulums",
        make=lambda parameters: _pendulum(key, *parameters),
        task_set=draw_task_set(
            lambda stream: (float(stream.uniform(5, 15)),),
            seed=0,
            sizes={"train": 3, "validation": 1, "test": 2},
        ),
        episode_steps=steps,
        worst_reward=-16.3,
        task_dependent=("observation",),
    )


def _pendulum(key, value):
    environment = gymnasium.make("Pendulum-v1")
    setattr(environment.unwrapped, key, value)
    return environment


@pytest.mark.parametrize("key", ["g", "m"])
def test_an_episode_is_the_one_that_gymnasium_plays(key):
    distribution = _pendulums(key)
    environment = distribution.make_environment(0)
    actions = np.random.default_rng(0).uniform(-2, 2, (_STEPS, 1)).astype(np.float32)
    for task, seed in (
        (distribution.tasks("test")[1], 7),
        (distribution.tasks("train")[0], 7),
        (distribution.tasks("train")[0], 8),
    ):
        environment.set_task(task)
        environment.set_seed(np.int64(seed))
        direct = _pendulum(key, *task.parameters)
        np.testing.assert_array_equal(
            environment.reset().observation["observation"], direct.reset(seed=seed)[0]
        )
        for step, action in enumerate(actions, start=1):
            timestep = environment.step(action)
            observation, reward, _, _, _ = direct.step(action)
            np.testing.assert_array_equal(timestep.observation["observation"], observation)
            assert (timestep.reward, timestep.discount, timestep.last()) == (
                reward,
                1.0,
                step == _STEPS,
            )


def test_tasks_that_differ_in_dynamics_conform_where_that_is_declared():
    distribution = _pendulums()
    report = examine(distribution)
    assert (report.findings, report.warnings) == ([], [])
    distribution.task_dependent = ()
    (finding,) = check(distribution)
    assert "the observation 'observation' differs between two tasks at step 1" in finding


def test_a_dictionary_is_observed_under_its_own_keys_and_conforms():
    distribution = _rockets()
    assert check(distribution) == []
    batch = EnvironmentBatch(distribution, 1)
    assert (batch.layout.size, batch.layout.prior_columns, batch.action_size) == (3, (0,), 1)
    task = distribution.tasks("test")[0]
    batch.reset(0, task, 5)
    direct = Rocket(*task.parameters)
    expected, _ = direct.reset(seed=5)
    np.testing.assert_allclose(
        batch.observations[0], [expected["height"], *2 * expected["wind"][0]], rtol=1e-6
    )
    batch.step(np.array([[0.5]], np.float32))
    expected = direct.step(np.array([2.5]))[
        0
    ]  # half way from the middle of [-2, 4] to its upper end
    np.testing.assert_allclose(
        batch.observations[0], [expected["height"], *2 * expected["wind"][0]], rtol=1e-6
    )


def test_termination_has_discount_0_and_the_own_time_limit_1():
    environment = _rockets().make_environment(0)
    assert environment.reset().first()
    discounts = [environment.step(np.array([-2.0])).discount]
    while discounts[-1] == 1:
        discounts.append(environment.step(np.array([-2.0])).discount)
    assert 2 < len(discounts) < _STEPS
    assert environment.step(np.zeros(1)).first()
    for _ in range(_STEPS - 1):
        assert environment.step(np.zeros(1)).mid()
    end = environment.step(np.zeros(1))
    assert (end.last(), end.discount) == (True, 1.0)


def test_an_environment_that_truncates_before_the_time_limit_is_found():
    (finding,) = check(_rockets(lambda parameters: Rocket(*parameters, cut=4)))
    assert f"ends with discount 1 at step 4 of episode_steps = {_STEPS}" in finding


def test_an_environment_is_made_anew_only_when_the_task_changes():
    made = []

    def make(parameters):
        made.append(Rocket(*parameters))
        return made[-1]

    environment = _rockets(make).make_environment(0)
    for ground in (0.25, 0.25, -0.25):
        environment.set_task(Task(0, (ground,)))
        environment.set_task(Task(3, (ground,)))
        environment.reset()
    assert [(rocket.ground, rocket.closed) for rocket in made[1:]] == [(0.25, True), (-0.25, False)]
    environment.close()
    assert made[-1].closed


def test_resets_without_a_new_seed_follow_from_the_last_one():
    def heights():
        environment = _rockets().make_environment(3)
        return [float(environment.reset().observation["height"]) for _ in range(3)]

    assert heights() == heights()
    assert len(set(heights())) == 3


@pytest.mark.parametrize(
    ("spaces_of", "words"),
    [
        (
            {"action_space": spaces.Discrete(3)},
            r"The action of the Gymnasium environment is Discrete\(3\)",
        ),
        (
            {"action_space": spaces.Box(-1, np.inf, (1,))},
            "The actions of rockets need finite bounds",
        ),
        (
            {"observation_space": spaces.Discrete(3)},
            r"The 'observation' of the Gymnasium environment is Discrete\(3\)",
        ),
        (
            {"observation_space": spaces.Dict({"height": spaces.Discrete(3)})},
            r"The 'height' of .* is Discrete\(3\)",
        ),
    ],
)
def test_spaces_that_do_not_fit_are_named(spaces_of, words):
    with pytest.raises(ValueError, match=words):
        EnvironmentBatch(
            _rockets(
                type("Odd", (Rocket,), {**spaces_of, "__init__": lambda self, parameters: None})
            ),
            1,
        )


def test_a_missing_gymnasium_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(
        ImportError,
        match="needs the package gymnasium, which is not installed: pip install gymnasium",
    ):
        _rockets()

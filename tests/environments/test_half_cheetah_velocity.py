from __future__ import annotations

import subprocess
import sys

import cloudpickle
import gymnasium
import numpy as np
import pytest

from environments import EnvironmentBatch, Task
from environments.half_cheetah_velocity import HalfCheetahVelocity


@pytest.fixture
def environment():
    environment = HalfCheetahVelocity().make_environment(0)
    environment.set_task(Task(0, (1.2,)))
    environment.set_seed(0)
    environment.reset()
    return environment


def _actions(count, seed=0):
    return np.random.default_rng(seed).uniform(-1.3, 1.3, (count, 6)).astype(np.float32)


def test_the_dynamics_are_gyms(environment):
    gym = gymnasium.make("HalfCheetah-v5").unwrapped
    gym.reset()
    for action in _actions(200):
        # Contacts make the motion chaotic: rounding errors of 1e-16 separate two runs within 60
        # steps, so each step starts from the same state.
        gym.set_state(environment.data.qpos.copy(), environment.data.qvel.copy())
        gym.data.qacc_warmstart[:] = environment.data.qacc_warmstart
        observation = environment.step(action).observation
        gym.do_simulation(action, gym.frame_skip)
        np.testing.assert_allclose(environment.data.qpos, gym.data.qpos, atol=1e-6)
        np.testing.assert_allclose(environment.data.qvel, gym.data.qvel, atol=1e-6)
        np.testing.assert_allclose(
            np.concatenate([observation["joints"], observation["velocity"]]),
            gym._get_obs(),
            atol=1e-6,
        )


def test_rewards_are_pearls(environment):
    for action in _actions(50):
        x = float(environment.data.qpos[0])
        timestep = environment.step(action)
        speed = (float(environment.data.qpos[0]) - x) / 0.05
        expected = -abs(speed - 1.2) - 0.05 * float((np.clip(action, -1, 1) ** 2).sum())
        assert timestep.reward == pytest.approx(expected, abs=1e-6)
        assert environment.training_reward is None


def test_the_torso_is_where_gym_says_it_is(environment):
    torso = environment.model.body("torso").id
    for action in _actions(20):
        observation = environment.step(action).observation
        # MuJoCo's own value belongs to the state before the last physics step; a kinematics pass
        # updates it.
        np.testing.assert_allclose(
            observation["torso"], _up_to_date_position(environment, torso), atol=1e-12
        )


def _up_to_date_position(environment, body):
    import mujoco

    mujoco.mj_kinematics(environment.model, environment.data)
    return environment.data.xpos[body].copy()


def test_only_the_time_limit_of_200_steps_ends_an_episode(environment):
    timesteps = [environment.step(action) for action in _actions(200)]
    assert [timestep.last() for timestep in timesteps] == [False] * 199 + [True]
    assert timesteps[-1].discount == 1.0
    assert min(timestep.reward for timestep in timesteps) > HalfCheetahVelocity.worst_reward


def test_starts_are_distributed_as_in_pearl(environment):
    positions, velocities = [], []
    for seed in range(300):
        environment.set_seed(seed)
        environment.reset()
        positions.append(environment.data.qpos.copy())
        velocities.append(environment.data.qvel.copy())
    positions, velocities = np.array(positions), np.array(velocities)
    assert np.abs(positions).max() <= 0.1
    assert np.abs(positions).max() > 0.099
    np.testing.assert_allclose(velocities.std(), 0.1, rtol=0.05)


@pytest.mark.parametrize(("observations", "size"), [(20, 20), (17, 17)])
def test_networks_see_scaled_observations(observations, size):
    distribution = HalfCheetahVelocity(observations=observations)
    batch = EnvironmentBatch(distribution, 1)
    batch.reset(0, distribution.tasks("train")[0], 5)
    environment = distribution.make_environment(0)
    environment.set_seed(5)
    raw = environment.reset().observation
    parts = [
        0.3 * raw["joints"],
        *([0.03 * raw["torso"]] if observations == 20 else []),
        0.3 * raw["velocity"],
    ]
    assert batch.layout.size == size
    np.testing.assert_allclose(batch.observations[0], np.concatenate(parts), rtol=1e-6)


def test_nothing_of_the_task_reaches_the_observations():
    batch = EnvironmentBatch(HalfCheetahVelocity(), 2)
    for row, speed in enumerate((0.1, 2.9)):
        batch.reset(row, Task(row, (speed,)), seed=4)
    for action in _actions(200):
        result = batch.step(np.stack([action, action]))
        assert batch.observations[0].tobytes() == batch.observations[1].tobytes()
        assert result.rewards[0] != result.rewards[1]


def test_pearls_named_set_is_its_published_draw():
    np.random.seed(1337)
    speeds = [np.random.uniform(0.0, 3.0, size=(130,))][0]
    distribution = HalfCheetahVelocity("pearl")
    np.testing.assert_array_equal(
        [task.parameters[0] for task in distribution.tasks("train")], speeds[:100]
    )
    np.testing.assert_array_equal(
        [task.parameters[0] for task in distribution.tasks("test")], speeds[100:]
    )
    assert [task.index for task in distribution.tasks("test")] == list(range(30))
    # Standing still: the known level of this set.
    assert -200 * np.mean(speeds[100:]) == pytest.approx(-283.5, abs=0.1)
    assert not {task.parameters for task in distribution.tasks("validation")} & {
        (speed,) for speed in speeds
    }


@pytest.mark.parametrize(
    ("wrong", "words"), [({"task_set": "mine"}, "'mine'"), ({"observations": 18}, "18")]
)
def test_unknown_options_are_named(wrong, words):
    with pytest.raises(ValueError, match=words):
        HalfCheetahVelocity(**wrong)


def test_a_seed_gives_the_same_episode_in_another_process():
    program = (
        "import numpy as np; from environments import EnvironmentBatch, load;"
        "d = load('half_cheetah_velocity');"
        "b = EnvironmentBatch(d, 1); b.reset(0, d.tasks('test')[3], 7);"
        "a = np.random.default_rng(1).uniform(-1, 1, (50, 1, 6)).astype('f');"
        "print([float(b.step(x).rewards[0]).hex() for x in a])"
    )
    first, second = (
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    )
    assert first == second
    assert len(first) > 500


def test_distributions_travel_by_pickle():
    pickled = cloudpickle.dumps(HalfCheetahVelocity("pearl", 3))
    assert len(pickled) < 10_000
    distribution = cloudpickle.loads(pickled)
    assert distribution.task_set == HalfCheetahVelocity("pearl", 3).task_set
    assert distribution.make_environment(0).reset().first()

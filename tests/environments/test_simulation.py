from __future__ import annotations

import mujoco
import numpy as np
import pytest

from environments import EnvironmentBatch, ObservationGroups, Task, TaskDistribution, TaskSet
from environments.models import compiled_model
from environments.simulation import Outcome, SimulatedEnvironment

_XML = """
<mujoco><option timestep="0.01"/><worldbody><body><joint name="x" type="slide" axis="1 0 0" damping="1"/><geom size="0.1" mass="1"/></body>
</worldbody><actuator><motor joint="x" ctrlrange="-2 6"/></actuator><sensor><jointpos joint="x"/></sensor></mujoco>
"""


class _Slider(SimulatedEnvironment):
    """A mass on a rail; it ends at the task's place, or is thrown to infinity in the step after `throw_at`."""

    throw_at = 99

    def start(self, stream):
        self.data.qpos[0] = stream.uniform(-0.1, 0.1)

    def evaluate(self, action):
        if self._steps == self.throw_at:
            self.data.qvel[0] = 1e12
        x = float(self.data.qpos[0])
        return Outcome(-abs(x - self.task.parameters[0]), x > self.task.parameters[0], x)

    def observe(self):
        return {"x": self.data.qpos, "sensed": self.data.sensordata}


class _Rail(TaskDistribution):
    name = "rail"
    observation_groups = ObservationGroups(("x", "sensed"), ("x",))
    episode_steps = 12
    worst_reward = -9.0
    task_set = TaskSet("default", {"train": (Task(0, (5.0,)), Task(1, (0.15,)))})

    def make_environment(self, seed):
        return _Slider(
            mujoco.MjModel.from_xml_string(_XML),
            self.tasks("train")[0],
            substeps=5,
            episode_steps=self.episode_steps,
        )


@pytest.fixture
def environment():
    environment = _Rail().make_environment(0)
    environment.set_seed(3)
    environment.reset()
    return environment


def test_a_control_step_is_its_physics_steps_and_all_that_is_derived_is_up_to_date(environment):
    model = mujoco.MjModel.from_xml_string(_XML)
    data = mujoco.MjData(model)
    data.qpos[:] = environment.data.qpos
    mujoco.mj_forward(model, data)
    for action in (6.0, -1.0, 2.5):
        observation = environment.step(np.array([action], np.float32)).observation
        data.ctrl[:] = action
        for _ in range(5):
            mujoco.mj_step(model, data)
        np.testing.assert_allclose(observation["x"], data.qpos, rtol=1e-12)
        np.testing.assert_array_equal(observation["sensed"], observation["x"])


def test_the_time_limit_keeps_the_discount_and_a_true_end_does_not(environment):
    for _ in range(11):
        assert environment.step(np.zeros(1)).mid()
    last = environment.step(np.zeros(1))
    assert (last.last(), last.discount) == (True, 1.0)
    assert environment.step(np.zeros(1)).first()
    environment.set_task(Task(1, (0.15,)))
    environment.reset()
    timestep = environment.step(np.array([6.0]))
    while timestep.mid():
        timestep = environment.step(np.array([6.0]))
    assert (timestep.last(), timestep.discount) == (True, 0.0)
    assert environment.training_reward == environment.data.qpos[0] > 0.15


def test_a_simulation_that_diverges_is_a_fault_that_says_so(monkeypatch):
    monkeypatch.setattr(_Slider, "throw_at", 2)
    batch = EnvironmentBatch(_Rail(), 1)
    batch.reset(0, Task(0, (5.0,)), 0)
    assert not batch.step(np.zeros((1, 1), np.float32)).last[0]
    batch.step(np.zeros((1, 1), np.float32))
    assert batch.step(np.zeros((1, 1), np.float32)).faulted[0]
    assert batch.fault(0) == "FloatingPointError: the simulation diverged in step 3: bad position"
    assert batch.reset(0, Task(0, (5.0,)), 0) == ()


def test_actions_reach_the_actuators_bounds(environment):
    spec = environment.action_spec()
    assert (spec.minimum.tolist(), spec.maximum.tolist(), spec.dtype) == ([-2.0], [6.0], np.float32)


def test_the_seed_decides_the_start_and_a_task_is_played_from_the_next_reset_on(environment):
    starts = []
    for seed in (1, 2, 1):
        environment.set_seed(seed)
        starts.append(float(environment.reset().observation["x"][0]))
    assert starts[0] == starts[2] != starts[1]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "iwpa" / "models"


class _Builder:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return mujoco.MjModel.from_xml_string(_XML)


def test_a_model_is_built_once_and_then_read(cache):
    build = _Builder()
    first, second = (compiled_model("rail", build, __file__, "5") for _ in range(2))
    assert build.calls == 1
    np.testing.assert_array_equal(first.body_mass, second.body_mass)
    assert len(list(cache.iterdir())) == 1


def test_what_decides_the_model_is_part_of_its_key(cache, tmp_path):
    build, source = _Builder(), tmp_path / "source"
    for content, value in (("a", "1"), ("b", "1"), ("b", "2"), ("b", "2")):
        source.write_text(content)
        compiled_model("rail", build, str(source), value)
    assert build.calls == 3


def test_a_damaged_file_is_built_anew(cache):
    build = _Builder()
    compiled_model("rail", build)
    (path,) = cache.iterdir()
    path.write_bytes(path.read_bytes()[:1000])
    assert compiled_model("rail", build).nq == 1
    assert build.calls == 2
    compiled_model("rail", build)
    assert build.calls == 2


def test_without_a_writable_cache_the_model_is_built_and_a_warning_says_so(
    tmp_path, monkeypatch, caplog
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compiled_model("rail", _Builder()).nq == 1
    assert "cannot be kept" in caplog.text

"""Generated task distributions: a family of conforming members, and ways to break one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import dm_env
import numpy as np
from dm_env import specs
from hypothesis import strategies as st

from environments import ObservationGroups, Task, TaskDistribution, TaskEnvironment, TaskSet

SHAPES: dict[str, tuple[int, ...]] = {"clock": (), "position": (2,)}
CONTAINERS: dict[str, Callable[[np.ndarray], Any]] = {
    "float32": lambda x: x.astype(np.float32),
    "float64": lambda x: x,
    "float16": lambda x: x.astype(np.float16),
    "integers": lambda x: np.round(x).astype(np.int64),
    "truths": lambda x: x > 0,
    "list": lambda x: x.tolist(),
    "strided": lambda x: np.repeat(x, 2)[::2].reshape(x.shape),
}
PAYMENTS: dict[str, Callable[[float], Any]] = {
    "float": float,
    "integer": round,
    "float32": np.float32,
    "0-d": np.array,
    "truth": lambda reward: reward > -1.0,
}


@dataclasses.dataclass(frozen=True)
class Member:
    """A family member's properties; `break_at` and `broken` say how it breaks a rule, if at all."""

    steps: int = 4
    terminates: bool = False
    container: str = "float64"
    payment: str = "float"
    reward_size: float = 1.0
    action_type: type = np.float32
    low: float = -1.0
    width: float = 2.0
    scale: float = 1.0
    changes_action: bool = False
    one_buffer: bool = False
    dense: bool = False
    numpy_tasks: bool = False


members = st.builds(
    Member,
    steps=st.integers(1, 7),
    terminates=st.booleans(),
    container=st.sampled_from(sorted(CONTAINERS)),
    payment=st.sampled_from(sorted(PAYMENTS)),
    reward_size=st.floats(1e-6, 1e3),
    action_type=st.sampled_from([np.float16, np.float32, np.float64]),
    low=st.floats(-1e4, 1e4),
    width=st.floats(1e-3, 1e4),
    scale=st.sampled_from([1.0, -0.3, 1e-3, 50.0]),
    changes_action=st.booleans(),
    one_buffer=st.booleans(),
    dense=st.booleans(),
    numpy_tasks=st.booleans(),
)


class FamilyEnvironment(TaskEnvironment):
    """A point in the plane, moved by an action's fraction of its range; tasks are targets."""

    def __init__(self, member: Member):
        self.member = member
        self.task = self.next_task = Task(0, (0.0,))
        self.stream = np.random.default_rng(0)
        self.buffer = np.zeros(2)
        self.spec = specs.BoundedArray(
            (2,), member.action_type, member.low, member.low + member.width
        )

    def set_task(self, task: Task) -> None:
        self.next_task = task

    def set_seed(self, seed: int) -> None:
        self.stream = np.random.default_rng(seed)

    @property
    def training_reward(self) -> Any:
        return 2.0 * self.reward() if self.member.dense else None

    def reset(self) -> dm_env.TimeStep:
        self.task, self.now = self.next_task, 0
        self.position = self.stream.uniform(-2.0, 2.0, 2)
        return dm_env.restart(self.observe())

    def step(self, action: np.ndarray) -> dm_env.TimeStep:
        self.spec.validate(action)
        self.position = np.clip(
            self.position + (action.astype(np.float64) - self.member.low) / self.member.width - 0.5,
            -3.0,
            3.0,
        )
        if self.member.changes_action:
            action *= 0
        self.now += 1
        return self.outcome()

    def outcome(self) -> dm_env.TimeStep:
        reward = PAYMENTS[self.member.payment](self.reward())
        if self.now == self.member.steps:
            return (dm_env.termination if self.member.terminates else dm_env.truncation)(
                reward, self.observe()
            )
        return dm_env.transition(reward, self.observe())

    def reward(self) -> float:
        return -self.member.reward_size * float(abs(self.position[0] - self.task.parameters[0]))

    def observe(self) -> dict[str, Any]:
        self.buffer[:] = self.position
        position = self.buffer if self.member.one_buffer else self.position
        return {
            "position": CONTAINERS[self.member.container](position),
            "clock": CONTAINERS[self.member.container](np.array(self.now / 4)),
        }

    def observation_spec(self) -> dict[str, specs.Array]:
        return {key: specs.Array(shape, float) for key, shape in SHAPES.items()}

    def action_spec(self) -> specs.BoundedArray:
        return self.spec


class Family(TaskDistribution):
    """A member's task distribution; attributes and environment methods can be overridden."""

    name = "family"
    observation_groups = ObservationGroups(tuple(SHAPES), ("position",))

    def __init__(
        self, member: Member = Member(), methods: dict[str, Any] | None = None, **attributes: Any
    ):
        number = np.float32 if member.numpy_tasks else float
        goals = {"train": (0.0, 1.0), "validation": (-1.0,), "test": (0.5, -0.5)}
        self.task_set = TaskSet(
            "default",
            {
                split: tuple(Task(i, (number(x),)) for i, x in enumerate(of))
                for split, of in goals.items()
            },
        )
        self.member = member
        self.episode_steps = member.steps
        self.dense_training = member.dense
        self.observation_scales = {"position": member.scale}
        self.worst_reward = -5.0 * member.reward_size - 1.0
        self.methods = methods or {}
        for name, value in attributes.items():
            setattr(self, name, value)

    def make_environment(self, seed: int) -> TaskEnvironment:
        environment: TaskEnvironment = type("Changed", (FamilyEnvironment,), self.methods)(
            self.member
        )
        environment.set_seed(seed)
        return environment

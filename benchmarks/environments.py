"""Every simulated environment's control step against its physics alone and against the stack that people use for such tasks.

`raw` is `mj_step` alone, for the same physics steps from the same start with the same actions; `stock` is the same body in dm_control's
composer, with its observables of the same quantities (Gym's own environment for half-cheetah). Reset is to a new task.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import dm_env
import mujoco
import numpy as np
from absl import flags

import environments
from benchmarks import measure, stock
from environments import TaskDistribution
from environments.arrays import Array
from environments.command_line import COUNT, define
from environments.simulation import SimulatedEnvironment

define("repetitions", 9, "Timed episodes of each side.", COUNT)

_NAMES = ("half_cheetah_velocity", "go_to_ring", "move_box", "reach", "go_to_target")
_DESCRIPTIONS = {
    name: "CPU time: of a step over raw, stock over ours; of a reset in ms; of a step in µs"
    for name in _NAMES
}


def main() -> measure.Figures:
    """Measures every environment."""
    return {name: _measure(environments.load(name)) for name in _NAMES}


def _measure(distribution: TaskDistribution) -> dict[str, float]:
    environment = distribution.make_environment(0)
    assert isinstance(environment, SimulatedEnvironment)
    theirs = stock.make(distribution.name)
    ratios, stock_ratios, steps = [], [], []
    for repetition in range(flags.FLAGS.repetitions):
        actions = _random_actions(environment, distribution.episode_steps, seed=repetition)
        environment.set_seed(repetition)
        environment.reset()
        start = environment.data.qpos.copy(), environment.data.qvel.copy()
        ours = _step_seconds(environment.step, actions)
        raw = _raw_step_seconds(environment, *start, actions)
        theirs.reset()
        stock_ratios.append(_step_seconds(theirs.step, actions) / ours)
        ratios.append(ours / raw)
        steps.append(1e6 * ours)
    return {
        "ratio_to_raw": statistics.median(ratios),
        "ratio_to_stock": statistics.median(stock_ratios),
        "reset_ms": _reset_milliseconds(distribution, environment),
        "step_us": statistics.median(steps),
    }


def _random_actions(environment: SimulatedEnvironment, count: int, seed: int) -> Array:
    spec = environment.action_spec()
    actions: Array = (
        np.random.default_rng(seed)
        .uniform(spec.minimum, spec.maximum, (count, *spec.shape))
        .astype(np.float32)
    )
    return actions


def _step_seconds(step: Callable[[Array], dm_env.TimeStep], actions: Array) -> float:
    """Returns the CPU time of a step in an episode that was just reset; one that ends early counts for the steps that it made."""
    made = 0

    def play() -> None:
        nonlocal made
        for action in actions:
            made += 1
            if step(action).last():
                break

    seconds = measure.cpu_seconds(play)
    return seconds / made


def _raw_step_seconds(
    environment: SimulatedEnvironment, positions: Array, velocities: Array, actions: Array
) -> float:
    data = mujoco.MjData(environment.model)
    data.qpos[:], data.qvel[:] = positions, velocities
    mujoco.mj_forward(environment.model, data)
    model, control, substeps = environment.model, data.ctrl, environment.substeps
    middle = dm_env.transition(0.0, {})

    def step(action: Array) -> dm_env.TimeStep:
        control[:] = action
        mujoco.mj_step(model, data, substeps)
        return middle

    return _step_seconds(step, actions)


def _reset_milliseconds(distribution: TaskDistribution, environment: SimulatedEnvironment) -> float:
    def reset(seed: int) -> dm_env.TimeStep:
        environment.set_task(distribution.tasks("test")[seed % 30])
        environment.set_seed(seed)
        return environment.reset()

    return 1e3 * statistics.median(
        measure.cpu_seconds(lambda seed=seed: reset(seed)) for seed in range(100)
    )


if __name__ == "__main__":
    measure.run(
        main, _DESCRIPTIONS, "Control steps of the simulated environments with random actions"
    )

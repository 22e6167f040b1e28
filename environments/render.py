"""Draws a picture and a video of one episode, without a display or a GPU.

    python -m environments.render --environment=half_cheetah_velocity --out=cheetah
    python -m environments.render --environment=sparse_navigation --policy=expert --split=train \\
        --snapshot=runs/X/snapshots/9 --out=expert

writes OUT.png (the middle of the episode, or with --moments=N a strip of N moments from its start
to its end) and OUT.mp4. `--policy` is random, expert or prior, or a factory of your own as
module:factory.
"""

from __future__ import annotations

import ctypes.util
import importlib
import logging
import os
import pathlib
from collections.abc import Callable

import numpy as np
from absl import flags

from environments import SPLITS, EnvironmentBatch, Task, TaskDistribution, command_line, load, names
from environments.arrays import Array
from environments.command_line import SEED, TEXT
from environments.imported_code import unchanged_process
from iwpa.fields import Allowed

# Maps a flat observation `[D]` to an action `[A]` in [-1, 1].
Policy = Callable[[Array], Array]
# Makes a policy from the distribution, the task, a seed and the value of --snapshot.
PolicyFactory = Callable[[TaskDistribution, Task, int, str | None], Policy]

# Resolved by name like an environment, because this folder must not import agents.
_POLICIES = {
    "random": "environments.render:random_policy",
    "expert": "agents.playback:expert",
    "prior": "agents.playback:prior",
}


def random_policy(
    distribution: TaskDistribution, task: Task, seed: int, snapshot: str | None
) -> Policy:
    """Returns a policy that draws every action uniformly from its bounds."""
    del task, snapshot
    size = EnvironmentBatch(distribution, 1).action_size
    stream = np.random.default_rng(seed)
    return lambda observation: stream.uniform(-1.0, 1.0, size).astype(np.float32)


def play(
    distribution: TaskDistribution, task: Task, policy: Policy, seed: int, size: tuple[int, int]
) -> list[Array]:
    """Plays an episode.

    Args:
        distribution: The task's distribution.
        task: The task to play.
        policy: The policy that acts.
        seed: Seed of the episode.
        size: Width and height of a picture, in pixels.

    Returns:
        A picture of every state, uint8 `[height, width, 3]`.

    Raises:
        RuntimeError: If the environment cannot be drawn, or the episode was cut short by a fault.
    """
    batch = EnvironmentBatch(distribution, 1, seed=seed)
    batch.reset(0, task, seed)
    pictures = [batch.picture(0, *size)]
    last = False
    while not last:
        last = bool(batch.step(policy(batch.observations[0])[None]).last[0])
        if batch.fault(0) is not None:
            raise RuntimeError(
                f"The episode was cut short in step {len(pictures)}: {batch.fault(0)}"
            )
        pictures.append(batch.picture(0, *size))
    return pictures


def choose_renderer() -> None:
    """Makes MuJoCo render without a display, unless `MUJOCO_GL` already selects a renderer.

    Call it before MuJoCo is imported.

    Raises:
        RuntimeError: If the machine has no library for it.
    """
    logging.getLogger("OpenGL").setLevel(logging.WARNING)
    if os.environ.get("MUJOCO_GL"):
        return
    for backend, library in (("osmesa", "OSMesa"), ("egl", "EGL")):
        if ctypes.util.find_library(library):
            os.environ["MUJOCO_GL"] = backend
            return
    raise RuntimeError(
        "Pictures need a GL library: apt-get install libosmesa6, or libegl1 and libgl1-mesa-dri."
    )


def main() -> int:
    """Plays and draws the episode that the flags describe; returns the exit code."""
    values = flags.FLAGS
    choose_renderer()
    # Imported late: it takes a second, and errors in flags should not wait for it.
    import imageio.v3

    out = pathlib.Path(command_line.required("out")).absolute()
    distribution = load(
        command_line.required("environment"),
        task_set=values.task_set,
        task_set_seed=values.task_set_seed,
        **values.options,
    )
    task = distribution.task_set.task(values.split, values.task)
    policy = _policy_factory(values.policy)(distribution, task, values.seed, values.snapshot)
    out.parent.mkdir(parents=True, exist_ok=True)
    pictures = play(distribution, task, policy, values.seed, (values.width, values.height))
    imageio.v3.imwrite(out.with_suffix(".png"), strip(pictures, values.moments))
    imageio.v3.imwrite(out.with_suffix(".mp4"), pictures, fps=20, macro_block_size=1)
    print(
        f"{out.with_suffix('.png')} and {out.with_suffix('.mp4')}: "
        f"{len(pictures) - 1} steps of {distribution.name}, {values.policy}"
    )
    return 0


def strip(pictures: list[Array], moments: int) -> Array:
    """Returns N moments from start to end side by side, `[height, N * width, 3]`; 1: the middle."""
    last = len(pictures) - 1
    chosen = np.linspace(0, last, moments) if moments > 1 else [last / 2]
    strip: Array = np.hstack([pictures[int(np.ceil(index))] for index in chosen])
    return strip


def _policy_factory(name: str) -> PolicyFactory:
    module, _, factory = _POLICIES.get(name, name).partition(":")
    try:
        with unchanged_process():
            made: PolicyFactory = getattr(importlib.import_module(module), factory)
    except (ImportError, AttributeError, ValueError) as error:
        raise command_line.UsageError(
            f"Unknown policy {name!r} ({error}): choose {', '.join(_POLICIES)} or module:factory."
        ) from error
    return made


def define_flags() -> None:
    """Defines the command's flags."""
    define = command_line.define
    define(
        "environment",
        None,
        f"Environment to draw: {', '.join(names())}, or your own as module:factory.",
        TEXT,
    )
    define("out", None, "Path of the files to write, without an extension.", TEXT)
    define(
        "policy", "random", f"Policy that acts: {', '.join(_POLICIES)}, or module:factory.", TEXT
    )
    text = "Snapshot of expert and prior: its folder, runs/NAME/snapshots/STEP."
    define("snapshot", None, text, TEXT)
    define("task_set", "default", "Name of one of the environment's task sets.", TEXT)
    define("task_set_seed", 0, "Seed with which the tasks are drawn.", SEED)
    command_line.define_options()
    define("split", "test", "Split of the task.", Allowed(str, choices=SPLITS))
    define("task", 0, "Index of the task in its split.", SEED)
    define("seed", 0, "Seed of the episode.", SEED)
    moments = Allowed(int, at_least=1, at_most=12)
    define("moments", 1, "How many moments of the episode the picture shows.", moments)
    define(
        "width", 640, "Width of the pictures, in pixels.", Allowed(int, at_least=16, at_most=1280)
    )
    define(
        "height", 480, "Height of the pictures, in pixels.", Allowed(int, at_least=16, at_most=960)
    )


if __name__ == "__main__":
    define_flags()
    command_line.run(main, __doc__)

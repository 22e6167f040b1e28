"""A first taste, without training: a shipped snapshot adapts to a half-cheetah task in a minute.

    make taste SPEED=1.2, or python -m launch.taste --speed=1.2

The cheetah is rewarded for running at a hidden speed; each step's reward says how far off it is.
The prior, which does not adapt, plays one episode, then the default method plays some. A line for
each shows the speed over its ten seconds, as it runs; a video shows the prior's episode above the
last one.
"""

from __future__ import annotations

import pathlib
from typing import NamedTuple

import numpy as np
from absl import flags

import iwpa
from environments import Task, TaskEnvironment, command_line, load
from environments.arrays import Array
from environments.command_line import SEED, TEXT
from environments.render import choose_renderer
from iwpa.fields import Allowed

_ENVIRONMENT = "half_cheetah_velocity"
_BLOCKS = "▁▂▃▄▅▆▇█"
_FASTEST = 3.0  # m/s, of the task distribution
_STEPS_PER_BLOCK = 10
_STEPS_PER_FRAME = 2  # drawing without a GPU takes longer than all the rest
_SIZE = (480, 240)


class Episode(NamedTuple):
    """The result of an episode.

    Attributes:
        title: The title of its line and its picture.
        total: Its return.
        speed: Mean speed over its second half, in m/s.
        pictures: A picture of every second state, uint8 `[height, width, 3]`; none if not filmed.
    """

    title: str
    total: float
    speed: float
    pictures: list[Array]


def play(
    environment: TaskEnvironment, adapter: iwpa.Adapter, title: str, *, filmed: bool
) -> Episode:
    """Plays an episode while the adapter learns, and prints its line meanwhile.

    Args:
        environment: A half-cheetah, with its task and seed already set.
        adapter: Acts and learns.
        title: The start of the line.
        filmed: Whether to take pictures.
    """
    print(f"{title:<20}", end=" ", flush=True)
    step = environment.reset()
    positions, total, pictures = [float(step.observation["torso"][0])], 0.0, []
    seconds = environment.control_step or 1.0
    action: Array | None = adapter.reset(step.observation)
    while action is not None:
        step = environment.step(action)
        total += step.reward
        positions.append(float(step.observation["torso"][0]))
        action = adapter.step(step.reward, step.observation, truncated=step.last())
        steps = len(positions) - 1
        if steps % _STEPS_PER_BLOCK == 0:
            block = (positions[-1] - positions[-1 - _STEPS_PER_BLOCK]) / (
                _STEPS_PER_BLOCK * seconds
            )
            print(_block(block), end="", flush=True)
        if filmed and steps % _STEPS_PER_FRAME == 0:
            pictures.append(environment.picture(*_SIZE))
    half = len(positions) // 2
    speed = (positions[-1] - positions[half]) / ((len(positions) - 1 - half) * seconds)
    print(f" {speed:6.2f} m/s {total:9.1f}", flush=True)
    return Episode(title, total, speed, pictures)


def _block(speed: float) -> str:
    level = round(speed / _FASTEST * (len(_BLOCKS) - 1))
    return _BLOCKS[min(max(level, 0), len(_BLOCKS) - 1)]


def write_film(path: pathlib.Path, above: Episode, below: Episode, asked: float) -> None:
    """Writes two episodes, one above the other, each labelled with its speed, in real time."""
    import imageio.v3

    panels = [
        [_labelled(picture, f"{episode.title}: {episode.speed:.1f} m/s of {asked:g} m/s")
         for picture in episode.pictures]
        for episode in (above, below)
    ]  # fmt: skip
    frames = [np.concatenate(pair) for pair in zip(*panels, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    imageio.v3.imwrite(path, frames, fps=20 / _STEPS_PER_FRAME, macro_block_size=1)


def _labelled(picture: Array, text: str) -> Array:
    from PIL import Image, ImageDraw

    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, image.width, 20), fill=(20, 20, 20))
    draw.text((8, 4), text, fill=(255, 255, 255))
    return np.asarray(image)


def main() -> int:
    """Adapts to the speed that the flags ask for; returns the exit code."""
    values = flags.FLAGS
    environment, missing = _drawable(values.seed)
    trained = iwpa.load(_ENVIRONMENT)
    print(
        f"A cheetah is rewarded for running at {values.speed:g} m/s, a speed that it has to infer "
        "from rewards.\nA block is half a second, its height the speed, from 0 to 3 m/s.\n"
    )
    print(f"{'':<20} {'speed while it runs':<20} {'2nd half':>10} {'return':>9}")
    prior, learner = (
        trained.adapter(method="prior", seed=values.seed),
        trained.adapter(seed=values.seed),
    )
    titles = [f"learning, episode {episode + 1}" for episode in range(values.episodes)]
    played = []
    for title in ("prior, no learning", *titles):
        environment.set_task(Task(0, (values.speed,)))
        environment.set_seed(values.seed)  # The same start, so that behaviour alone differs.
        adapter = learner if title in titles else prior
        filmed = missing is None and title in ("prior, no learning", titles[-1])
        played.append(play(environment, adapter, title, filmed=filmed))
    before, first, last = played[0], played[1], played[-1]
    print(
        f"\nThe prior can run, but not at the speed asked for: it returned {before.total:.0f} "
        f"(0 is perfect).\n{learner.method} returned {first.total:.0f} in its first episode, "
        f"{last.total:.0f} in its last."
    )
    if missing:
        print(f"No video: {missing}")
    else:
        path = pathlib.Path(values.out).absolute()
        write_film(path, before, last, values.speed)
        print(f"Video, the prior above, the last episode below: {path}")
    other = 2.5 if values.speed < 2.0 else 0.8
    print(f"Another speed: make taste SPEED={other}    Train one yourself: make demo")
    return 0


def _drawable(seed: int) -> tuple[TaskEnvironment, str | None]:
    """Returns the environment, and why it cannot be drawn, if it cannot."""
    missing = None
    try:
        choose_renderer()  # Before MuJoCo is imported.
    except RuntimeError as error:
        missing = str(error)
    environment = load(_ENVIRONMENT).make_environment(seed)
    environment.reset()
    try:
        environment.picture(*_SIZE)
    except Exception as error:  # Whatever a GL library raises.
        return environment, missing or f"{type(error).__name__}: {error}"
    return environment, None


def define_flags() -> None:
    """Defines the command's flags."""
    define = command_line.define
    speed = Allowed(float, at_least=0.0, at_most=_FASTEST)
    define("speed", 1.0, "The hidden speed to run at, in m/s.", speed)
    episodes = Allowed(int, at_least=1, at_most=100)
    define("episodes", 3, "Episodes of adaptation, of 10 s each.", episodes)
    define("seed", 0, "Seed of the adaptation and of the start.", SEED)
    define("out", "runs/taste.mp4", "The video file to write.", TEXT)


if __name__ == "__main__":
    define_flags()
    command_line.run(main, __doc__)

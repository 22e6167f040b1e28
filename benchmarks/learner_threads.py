"""The learner's steps per second of wall-clock time on one, two and four threads."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
from absl import flags

from agents.agent import make_agent
from agents.learning import Learner
from benchmarks import measure
from launch.settings import default_settings
from replay.sequence import SequenceSpec, example_batch

flags.DEFINE_integer("rounds", 60, "Timed steps per number of threads.", lower_bound=1)

_ENVIRONMENTS = ("sparse_navigation", "half_cheetah_velocity", "go_to_ring")
_THREADS = (1, 2, 4)
_DESCRIPTIONS = {"threads": "steps per second by environment and number of threads"}


def main() -> measure.Figures:
    """Returns steps per second by environment and number of threads."""
    return {"threads": {name: _steps_per_second(name) for name in _ENVIRONMENTS}}


def _steps_per_second(environment: str) -> dict[str, float]:
    steps = {str(threads): _make_step(environment, threads) for threads in _THREADS}
    seconds = measure.interleaved_medians(steps, flags.FLAGS.rounds, measure.wall_seconds)
    return {threads: 1 / value for threads, value in seconds.items()}


def _make_step(environment: str, threads: int) -> Callable[[], None]:
    """Returns a compiled function that runs one step at an environment's default sizes."""
    settings = default_settings(environment)
    spec, config = settings.network_spec(settings.distribution()), settings.config
    sequence = SequenceSpec(spec.observation_size, spec.action_size, config.replay.sequence_length)
    batch = example_batch(
        sequence, batch_size=config.optimiser.batch_size, seed=0, tasks=spec.tasks
    )
    tensors = {key: tf.constant(value) for key, value in batch.items()}
    learner = Learner(make_agent(config.agent), spec, config, seed=0, threads=threads)

    def step() -> None:
        learner.step(tensors)["critic_loss"].numpy()

    step()
    return step


if __name__ == "__main__":
    measure.run(
        main,
        _DESCRIPTIONS,
        "Learner's steps per second by number of threads, wall clock",
        threads=max(_THREADS),
    )

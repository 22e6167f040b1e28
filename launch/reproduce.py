"""Reproduces the comparison of all methods on an environment from nothing: trains, tunes, tests, and draws the paper's figure.

    python -m launch.reproduce --environment=sparse_navigation --out=runs/reproduced --training_seeds=0,1,2

Every step is a command of its own, printed before it runs; what is finished is not repeated, so that the same command resumes. Methods are
tuned on the validation tasks from the first training seed, and tested from every seed in what was chosen there. Where time is short,
--training_share trains each agent for a share of its steps, the same for all, and --notuning tests every method as it is by default.
"""

from __future__ import annotations

import dataclasses
import pathlib
import shlex
import time
from collections.abc import Iterator, Sequence

from absl import flags

from agents.adaptation import methods
from agents.adaptation.search_spaces import CONFIGURATIONS, SEARCH_SPACES
from agents.config import AGENTS
from environments import command_line, load, names
from environments.command_line import TEXT
from iwpa.fields import Allowed
from launch.config_flags import define_path
from launch.experiment import run_module
from launch.settings import default_settings
from results.command_line import joined
from results.paper_figures import figure_of

# On an AMD EPYC: seconds of a learner step with what goes with it (multitask: on two cores and two threads, navigation's and
# half-cheetah's alike); CPU seconds of a replica's control step and, where it learns by them, an update, on navigation (docs/results.md).
_LEARNER_STEP_SECONDS = {"multitask": 0.012, "rl2": 0.033, "pearl": 0.02}
_CONTROL_STEP_SECONDS = {
    "shared_q_iw": 2e-4,
    "shared_q_iw_ls": 4e-4,
    "shared_q_iw_posterior": 2e-4,
    "shared_q_iw_hypotheses": 2e-4,
    "iw": 1e-4,
}
_OTHER_CONTROL_STEP_SECONDS = 2e-5
_UPDATE_SECONDS = {"shared_q_iw": 8e-5, "shared_q": 7e-4, "distral": 9.5e-4, "from_scratch": 8e-4, "iw": 1.5e-3}
# The other environments have larger networks, which take so much longer, and physics to simulate.
_LARGER = 3.5
_SIMULATION_SECONDS = 2e-4
_TUNING_SEEDS = 1


@dataclasses.dataclass(frozen=True)
class Step:
    """A command of the reproduction.

    Attributes:
        title: What it does.
        module: What `python -m` runs.
        arguments: Its flags.
        minutes: About how long it takes.
    """

    title: str
    module: str
    arguments: tuple[str, ...]
    minutes: float


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is spent on a comparison.

    Attributes:
        training_seeds: Seeds to train with.
        test_seeds: Adaptations to each test task from each trained run.
        training_share: Of each agent's default learner steps, how many are made.
        tuning: Whether methods are tuned before they are tested.
    """

    training_seeds: Sequence[int]
    test_seeds: int
    training_share: float = 1.0
    tuning: bool = True


def steps(environment: str, out: pathlib.Path, effort: Effort) -> Iterator[Step]:
    """Yields what there is to do, in order.

    Args:
        environment: Its name.
        out: Where run directories and figures go.
        effort: How much of it.
    """
    runs = []
    training_seeds = effort.training_seeds
    for seed in training_seeds:
        for agent in AGENTS:
            runs.append(out / f"{environment}-{agent}-{seed}")
            yield from _of_agent(environment, agent, seed, runs[-1], out / f"{environment}-multitask-{training_seeds[0]}", effort)
    folder = out / "figures"
    figure = figure_of(environment)
    if figure is not None:
        yield _figure(figure, runs, folder)
    distribution = load(environment)
    if distribution.description(distribution.tasks("train")[0]) is not None:
        described = [out / f"{environment}-described-{seed}" for seed in training_seeds]
        for seed, run in zip(training_seeds, described, strict=True):
            flags_of_run = ("--critic=task_description", "--methods=prior")
            yield _training(f"critic by description, seed {seed}: ", environment, "multitask", seed, run, effort, flags_of_run)
        yield _figure("4", [*(run for run in runs if "-multitask-" in run.name), *described], folder)


def _figure(figure: str, runs: Sequence[pathlib.Path], folder: pathlib.Path) -> Step:
    arguments = (f"--run_dirs={joined(map(str, runs))}", f"--figure={figure}", f"--out={folder}")
    return Step(f"figure {figure}", "results.figures", arguments, 0.1)


def _training(title: str, environment: str, agent: str, seed: int, run: pathlib.Path, effort: Effort, more: tuple[str, ...]) -> Step:
    """Returns the training of an agent to its number of steps, however long it takes."""
    learner_steps = max(1, round(effort.training_share * default_settings(environment, agent=agent).learner_steps))
    length = (f"--learner_steps={learner_steps}", "--minutes=100000")
    arguments = (f"--environment={environment}", f"--run_dir={run}", f"--agent={agent}", f"--seed={seed}", *length, *more)
    return Step(f"{title}training", "launch.local_multiprocess", arguments, learner_steps * _LEARNER_STEP_SECONDS[agent] / 60)


def _of_agent(environment: str, agent: str, seed: int, run: pathlib.Path, tuned: pathlib.Path, effort: Effort) -> Iterator[Step]:
    """Yields the training of an agent with a seed, and the tests of the methods that it serves."""
    settings = default_settings(environment, agent=agent)
    distribution = load(environment)
    tested = methods.served_by(agent)

    def minutes(names: Sequence[str], replicas: int) -> float:
        seconds = sum(_episode_seconds(environment, name, distribution.episode_steps) for name in names)
        return replicas * settings.config.adaptation_episodes * seconds / 60

    title = f"{agent}, seed {seed}: "
    yield _training(title, environment, agent, seed, run, effort, (f"--methods={tested[0]}",))
    tunable = [name for name in tested if name in SEARCH_SPACES and effort.tuning]
    if tunable and run == tuned:
        replicas = CONFIGURATIONS * _TUNING_SEEDS * len(distribution.tasks("validation"))
        arguments = (f"--run_dir={run}", f"--methods={','.join(tunable)}", f"--seeds={_TUNING_SEEDS}")
        yield Step(f"{title}tuning, {CONFIGURATIONS} configurations each", "launch.tune", arguments, minutes(tunable, replicas))
    choices = (f"--tuned_on={tuned}",) if tunable else ()
    arguments = (f"--run_dir={run}", f"--methods={','.join(tested)}", f"--seeds={effort.test_seeds}", *choices)
    yield Step(f"{title}test", "launch.evaluate", arguments, minutes(tested, effort.test_seeds * len(distribution.tasks("test"))))


def _episode_seconds(environment: str, method: str, steps: int) -> float:
    """Returns about how long one replica's episode of adaptation takes, in CPU seconds."""
    config = methods.default_adaptation(method, 1, environment)
    larger, simulation = (1.0, 0.0) if environment == "sparse_navigation" else (_LARGER, _SIMULATION_SECONDS)
    updates = config.updates_per_episode + steps // config.update_period
    acting = steps * (_CONTROL_STEP_SECONDS.get(method, _OTHER_CONTROL_STEP_SECONDS) * larger + simulation)
    return acting + updates * _UPDATE_SECONDS.get(method, 0.0) * larger


def main() -> int:
    """Takes the steps that the flags ask for; returns the exit code of the first that fails, else 0."""
    values = flags.FLAGS
    environment = command_line.required("environment")
    effort = Effort(values.training_seeds, values.seeds, values.training_share, values.tuning)
    to_do = list(steps(environment, pathlib.Path(values.out), effort))
    print(f"About {sum(step.minutes for step in to_do) / 60:.1f} hours on two cores of an AMD EPYC; what is finished takes seconds.")
    for number, step in enumerate(to_do, start=1):
        print(f"  {number:2d}. {step.title}: about {step.minutes:.0f} min", flush=True)
    if values.estimate:
        return 0
    stop = command_line.stop_on_signals()
    for number, step in enumerate(to_do, start=1):
        print(f"\n{number} of {len(to_do)}, {step.title}\n  {shlex.join(['python', '-m', step.module, *step.arguments])}", flush=True)
        started = time.monotonic()
        code = run_module(stop, step.module, *step.arguments)
        if code:
            return code
        print(f"Took {(time.monotonic() - started) / 60:.1f} minutes.", flush=True)
    return 0


def define_flags() -> None:
    """Defines the command's flags."""
    define = command_line.define
    define(
        "environment",
        None,
        f"Which: {', '.join(names())}, or your own as module:factory.",
        TEXT,
    )
    define_path("out", "runs/reproduced", "Where run directories and figures go.")
    seeds = Allowed(int, at_least=0, shortest=1, distinct=True)
    define("training_seeds", (0,), "Seeds to train each agent with.", seeds)
    define("seeds", 3, "Adaptations to each test task.", Allowed(int, at_least=1, at_most=1000))
    text = "Of each agent's learner steps, how many to make."
    define("training_share", 1.0, text, Allowed(float, above=0, at_most=1))
    flags.DEFINE_boolean("tuning", True, "Tune the methods before they are tested.")
    flags.DEFINE_boolean("estimate", False, "Only print what there is to do and how long it takes.")


if __name__ == "__main__":
    define_flags()
    command_line.run(main, __doc__)

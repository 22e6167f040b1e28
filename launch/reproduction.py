"""The commands that compare all methods on an environment, in order, and how long each takes."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

from agents.adaptation import methods
from agents.adaptation.search_spaces import CONFIGURATIONS, SEARCH_SPACES
from agents.registry import AGENTS, TRAITS
from environments import load
from iwpa.snapshots import DEFAULT_AGENT
from launch.settings import default_settings
from results.command_line import joined
from results.paper_figures import figure_of

# On an AMD EPYC (docs/results.md).
# CPU seconds of one replica's control step on navigation, and of an update in methods that learn.
_CONTROL_STEP_SECONDS = {
    "shared_q_iw": 2e-4,
    "shared_q_iw_hypotheses": 2e-4,
    "iw": 1e-4,
}
_OTHER_CONTROL_STEP_SECONDS = 2e-5
_UPDATE_SECONDS = {
    "shared_q_iw": 8e-5,
    "shared_q": 7e-4,
    "distral": 9.5e-4,
    "from_scratch": 8e-4,
    "iw": 1.5e-3,
}
# The other environments have larger networks, slower by this factor, and physics to simulate.
_LARGER = 3.5
_SIMULATION_SECONDS = 2e-4
_TUNING_SEEDS = 1


@dataclasses.dataclass(frozen=True)
class Step:
    """One command of the reproduction.

    Attributes:
        title: What the command does.
        module: The module that `python -m` runs.
        arguments: The command's flags.
        minutes: Its estimated duration.
    """

    title: str
    module: str
    arguments: tuple[str, ...]
    minutes: float


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much computation to spend on a comparison.

    Attributes:
        training_seeds: Seeds to train with.
        test_seeds: Number of adaptations to each test task from each trained run.
        training_share: Fraction of each agent's default learner steps to train for.
        tuning: Whether to tune methods before testing them.
    """

    training_seeds: Sequence[int]
    test_seeds: int
    training_share: float = 1.0
    tuning: bool = True


def steps(environment: str, out: pathlib.Path, effort: Effort) -> Iterator[Step]:
    """Yields the commands of a comparison, in order.

    Args:
        environment: Name of the environment.
        out: Folder for run directories and figures.
        effort: How much computation to spend.
    """
    runs = []
    training_seeds = effort.training_seeds
    for seed in training_seeds:
        for agent in AGENTS:
            runs.append(out / f"{environment}-{agent}-{seed}")
            yield from _of_agent(
                environment,
                agent,
                seed,
                runs[-1],
                out / f"{environment}-{DEFAULT_AGENT}-{training_seeds[0]}",
                effort,
            )
    folder = out / "figures"
    figure = figure_of(environment)
    if figure is not None:
        yield _figure(figure, runs, folder)
        table = folder / f"figure_{figure}_runs.csv"
        yield Step("differences", "results.paper_claims", (f"--runs={table}",), 0.1)
    distribution = load(environment)
    if distribution.description(distribution.tasks("train")[0]) is not None:
        usual = default_settings(environment).config.networks.critic
        other = "task_id" if usual == "task_description" else "task_description"
        compared = [out / f"{environment}-{other}-{seed}" for seed in training_seeds]
        for seed, run in zip(training_seeds, compared, strict=True):
            flags_of_run = (f"--critic={other}", "--methods=prior")
            yield _training(
                f"critic by {other.replace('_', ' ')}, seed {seed}: ",
                environment,
                DEFAULT_AGENT,
                seed,
                run,
                effort,
                flags_of_run,
            )
        yield _figure(
            "4", [*(run for run in runs if f"-{DEFAULT_AGENT}-" in run.name), *compared], folder
        )


def _figure(figure: str, runs: Sequence[pathlib.Path], folder: pathlib.Path) -> Step:
    arguments = (f"--run_dirs={joined(map(str, runs))}", f"--figure={figure}", f"--out={folder}")
    return Step(f"figure {figure}", "results.figures", arguments, 0.1)


def _training(
    title: str,
    environment: str,
    agent: str,
    seed: int,
    run: pathlib.Path,
    effort: Effort,
    more: tuple[str, ...],
) -> Step:
    """Returns the command that trains an agent for its number of steps, without a time limit."""
    learner_steps = max(
        1, round(effort.training_share * default_settings(environment, agent=agent).learner_steps)
    )
    length = (f"--learner_steps={learner_steps}", "--minutes=100000")
    arguments = (
        f"--environment={environment}",
        f"--run_dir={run}",
        f"--agent={agent}",
        f"--seed={seed}",
        *length,
        *more,
    )
    return Step(
        f"{title}training",
        "launch.local_multiprocess",
        arguments,
        learner_steps * TRAITS[agent].learner_step_seconds / 60,
    )


def _of_agent(
    environment: str, agent: str, seed: int, run: pathlib.Path, tuned: pathlib.Path, effort: Effort
) -> Iterator[Step]:
    """Yields the commands that train an agent with a seed and test the methods it supports."""
    settings = default_settings(environment, agent=agent)
    distribution = load(environment)
    tested = methods.served_by(agent)

    def minutes(names: Sequence[str], replicas: int) -> float:
        seconds = sum(
            _episode_seconds(environment, name, distribution.episode_steps) for name in names
        )
        return replicas * settings.config.adaptation_episodes * seconds / 60

    title = f"{agent}, seed {seed}: "
    yield _training(title, environment, agent, seed, run, effort, (f"--methods={tested[0]}",))
    tunable = [name for name in tested if name in SEARCH_SPACES and effort.tuning]
    if tunable and run == tuned:
        replicas = CONFIGURATIONS * _TUNING_SEEDS * len(distribution.tasks("validation"))
        arguments = (
            f"--run_dir={run}",
            f"--methods={','.join(tunable)}",
            f"--seeds={_TUNING_SEEDS}",
        )
        yield Step(
            f"{title}tuning, {CONFIGURATIONS} configs each",
            "launch.tune",
            arguments,
            minutes(tunable, replicas),
        )
    choices = (f"--tuned_on={tuned}",) if tunable else ()
    arguments = (
        f"--run_dir={run}",
        f"--methods={','.join(tested)}",
        f"--seeds={effort.test_seeds}",
        *choices,
    )
    yield Step(
        f"{title}test",
        "launch.evaluate",
        arguments,
        minutes(tested, effort.test_seeds * len(distribution.tasks("test"))),
    )


def _episode_seconds(environment: str, method: str, steps: int) -> float:
    """Returns the estimated CPU seconds of one replica's episode of adaptation."""
    config = methods.default_adaptation(method, 1, environment)
    larger, simulation = (
        (1.0, 0.0) if environment == "sparse_navigation" else (_LARGER, _SIMULATION_SECONDS)
    )
    updates = config.updates_per_episode + steps // config.update_period
    acting = steps * (
        _CONTROL_STEP_SECONDS.get(method, _OTHER_CONTROL_STEP_SECONDS) * larger + simulation
    )
    return acting + updates * _UPDATE_SECONDS.get(method, 0.0) * larger

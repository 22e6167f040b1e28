"""Stages 2 and 3 of a run: selects a snapshot on validation tasks and adapts to held-out tasks."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence

from agents.adaptation.methods import NAMES, known
from environments import SPLITS, signals
from iwpa.fields import Allowed, with_values
from launch.evaluation import SEEDS, SEEDS_ALLOWED, Assignment
from launch.run import Run, ensure_coordinates
from launch.run_directory import RunDirectory, evaluated, open_run
from launch.run_file import RunDirectoryError
from launch.settings import RunSettings
from launch.stages import pretrained as pretrained_runs
from launch.stages import xla_flags
from launch.stages.choices import chosen_configuration
from launch.stages.evaluator import Evaluator
from launch.stages.recording import why_not_filmed

# The arguments of `evaluate` that no declaration elsewhere checks.
ALLOWED = {
    "split": Allowed(str, choices=SPLITS),
    "tasks": Allowed(int, at_least=0, shortest=1, distinct=True),
    "seeds": SEEDS_ALLOWED,
    "videos": Allowed(int, at_least=0, at_most=10_000),
}


def evaluate(
    run_dir: str | None = None,
    *,
    pretrained: str | None = None,
    methods: Sequence[str] | None = None,
    split: str = "test",
    tasks: Sequence[int] | None = None,
    seeds: int = SEEDS,
    episodes: int | None = None,
    snapshot: int | None = None,
    adaptation: Mapping[str, object] | None = None,
    tuned_on: str | None = None,
    videos: int = 0,
) -> bool:
    """Selects a run's snapshot on its validation tasks and adapts from it to a split's tasks.

    Call it in the main thread. Results go to the run directory, for `report`. Ctrl-C and SIGTERM
    stop it cleanly; the same call resumes after the last finished (snapshot, method, split).

    Args:
        run_dir: The run directory. A pretrained run is unpacked there, by default to
            `runs/pretrained/NAME`.
        pretrained: Name of a run that ships with the sources, instead of a run of your own.
        methods: Methods to compare; by default the run's.
        split: `train`, `validation` or `test`.
        tasks: Indices of the split's tasks to adapt to; by default all.
        seeds: Number of independent adaptations to each task.
        episodes: Number of episodes of adaptation; by default the environment's preset.
        snapshot: Learner step of the snapshot to adapt from, instead of the selected one.
        adaptation: Hyper-parameters by name that override every method's own.
        tuned_on: Run directory whose tuned configs to use; by default this one.
        videos: Number of tasks to record each method on.

    Returns:
        True if it finished, False if it was stopped.

    Raises:
        ValueError: If a name or value is invalid, the run does not exist, another program evaluates
            it, it has no snapshot to adapt from, its training failed, or the snapshot is damaged.
        EnvironmentFailure: If an environment failed in too many consecutive episodes.
    """
    given = {"split": split, "tasks": tasks, "seeds": seeds, "videos": videos}
    _check({name: value for name, value in given.items() if value is not None})
    source = str(pretrained_runs.FOLDER / pretrained) if pretrained else run_dir
    if not source:
        raise RunDirectoryError(
            "There is nothing to evaluate: name a run directory, or a pretrained run."
        )
    settings = open_run(source)[1]
    settings = dataclasses.replace(
        settings, adaptation={**settings.adaptation, **(adaptation or {})}
    )
    distribution = settings.distribution()
    assignments = _assignments(settings, methods, split, tasks, seeds, episodes)
    for assignment in assignments:
        assignment.replicas(distribution)  # Raises if a task does not exist.
    other = open_run(tuned_on)[0] if tuned_on else None
    not_filmed = why_not_filmed(distribution) if videos else None
    if not_filmed:
        print(f"Recording paths only, no videos: {not_filmed}", file=sys.stderr)
    # Nothing has been written up to this point.
    directory = open_run(_unpacked(pretrained, run_dir) if pretrained else source)[0]
    run = Run(directory, settings, distribution)
    with (
        xla_flags.quick_compilation(),
        signals.stopping_on_signals() as stop,
        evaluated(directory),
    ):
        ensure_coordinates(run)  # The first versions did not write them.
        evaluator = Evaluator(run, stop)
        start = evaluator.snapshot(snapshot)
        if start is not None:
            if split == "test":
                chosen = (directory, start.step) if other is None else (other, None)
                assignments = [
                    as_tuned(assignment, chosen, settings.adaptation) for assignment in assignments
                ]
            evaluator.measure_levels(start)
            evaluator.test(start, assignments)
            if videos:
                evaluator.record(start, assignments, videos, filmed=not_filmed is None)
        return not stop.is_set()


def _check(given: Mapping[str, object]) -> None:
    for name, value in given.items():
        try:
            ALLOWED[name].check(value)
        except ValueError as error:
            raise ValueError(f"{name} {error}") from error


def _unpacked(name: str, run_dir: str | None) -> str:
    """Unpacks a pretrained run into a run directory; returns its path."""
    path = run_dir or f"runs/pretrained/{name}"
    pretrained_runs.unpack(name, path)
    print(f"Adapting from {path}; the table: python -m results.report --run_dir={path}", flush=True)
    return path


def _assignments(
    settings: RunSettings,
    methods: Sequence[str] | None,
    split: str,
    tasks: Sequence[int] | None,
    seeds: int,
    episodes: int | None,
) -> list[Assignment]:
    kept = [name for name in settings.methods if name in NAMES]
    gone = [name for name in settings.methods if name not in kept]
    if gone and not methods:
        raise RunDirectoryError(
            f"The run's methods include {', '.join(gone)}, which this version lacks: choose "
            f"--methods={','.join(kept) or 'prior'}."
        )
    episodes = episodes or settings.config.adaptation_episodes
    chosen = None if tasks is None else tuple(tasks)
    return [
        Assignment(method, split, settings.adaptation_config(method, episodes), seeds, chosen)
        for method in known(methods or settings.methods, settings.config.agent)
    ]


def as_tuned(
    assignment: Assignment, tuned_on: tuple[RunDirectory, int | None], given: Mapping[str, object]
) -> Assignment:
    """Returns the assignment with the config that `launch.tune` chose, if it chose one.

    Args:
        assignment: What to test.
        tuned_on: The run that was tuned, and the learner step of its snapshot, or None for any.
        given: Hyper-parameters that override the chosen ones.
    """
    run, step = tuned_on
    chosen = chosen_configuration(run, assignment.method, step, assignment.config.episodes)
    if chosen is None:
        return assignment
    return dataclasses.replace(assignment, config=with_values(chosen, given))

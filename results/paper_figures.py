"""The paper's figures in the paper's style, from run directories of one or more training seeds.

    python -m results.figures --run_dirs=runs/seed0,runs/seed1 --figure=1

Figure 1 shows adaptation on half-cheetah and sparse navigation, figure 2 on the environments with
sparse rewards: the mean return of the last 3 episodes over tasks and seeds, with its 95% interval
and the paper's smoothing. Figure 4 shows training with critics that identify tasks by ID or by
description. Each figure is written as SVG, PNG and HTML, the points of its curves as CSV, and every
run behind them as `figure_N_runs.csv`.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from absl import flags

from results import figures, legend, records, selection, statistics, store, summary
from results.command_line import FAILED, USAGE_ERROR, Path, Paths, fail
from results.command_line import run as run_program
from results.files import publish_file
from results.panels import TITLES, Line, Panel

FloatArray = npt.NDArray[np.float64]
_PROGRAM = "results.figures"

_ENVIRONMENTS = {
    "1": ("half_cheetah_velocity", "sparse_navigation"),
    "2": ("go_to_ring", "move_box", "reach", "go_to_target"),
    "4": tuple(TITLES),
}
_CRITICS = {
    "task_id": ("Task id", legend.colour("shared_q")),
    "task_description": ("Task description", "#D55E00"),
}
_GRID = 200  # points of a training curve
_GRID_SMOOTHING = 10  # points of that grid


def figure_of(environment: str) -> str | None:
    """Returns the figure that shows adaptation in an environment, or None."""
    return next((figure for figure in ("1", "2") if environment in _ENVIRONMENTS[figure]), None)


def paper_figure(run_dirs: Sequence[str | os.PathLike[str]], figure: str) -> list[Panel]:
    """Returns the figure's panels in the paper's order; runs of one environment are pooled.

    Environments without a run are left out.

    Raises:
      RunDirectoryError: if a folder is not a run directory, belongs to an environment that the
        figure does not show, or has nothing to show.
      SelectionError: if a run has no selected snapshot and none can be selected.
    """
    by_environment: dict[str, list[tuple[pathlib.Path, Mapping[str, Any]]]] = {}
    # Count a folder once, even if it is given by two names.
    for run_dir in {path.resolve(): path for path in map(pathlib.Path, run_dirs)}.values():
        identity = summary.identity(run_dir)
        environment = str(identity["environment"])
        if environment not in _ENVIRONMENTS[figure]:
            raise summary.RunDirectoryError(
                f"figure {figure} does not show {environment}, the environment of {run_dir}: it "
                f"shows {', '.join(_ENVIRONMENTS[figure])}"
            )
        summary.refuse_failed(run_dir, store.read_records(run_dir, "events"))
        by_environment.setdefault(environment, []).append((run_dir, identity))
    panel = _training_panel if figure == "4" else _adaptation_panel
    shown = [name for name in _ENVIRONMENTS[figure] if name in by_environment]
    return [
        dataclasses.replace(
            panel(name, by_environment[name]), one_seed=_of_one_seed(by_environment[name])
        )
        for name in shown
    ]


def _of_one_seed(runs: Sequence[tuple[pathlib.Path, Mapping[str, Any]]]) -> str:
    """Returns a text that names the runs that are alike, seed included; empty if there are none."""
    alike: dict[str, list[str]] = {}
    for run_dir, identity in runs:
        if "seed" in identity:  # Early versions did not record it.
            alike.setdefault(json.dumps(identity, sort_keys=True), []).append(run_dir.name)
    return "; ".join(
        f"{' and '.join(names)} are runs of one seed" for names in alike.values() if len(names) > 1
    )


def _adaptation_panel(
    environment: str, runs: Sequence[tuple[pathlib.Path, Mapping[str, Any]]]
) -> Panel:
    pooled: dict[str, list[tuple[str, records.AdaptationRun]]] = {}
    for run_dir, _ in runs:
        recorded = records.adaptation_runs(store.read_records(run_dir, "adaptation"))
        selected = selection.selected_snapshot(
            store.read_records(run_dir, "events")
        ) or selection.select_snapshot(recorded)
        tested, _ = summary.tested(recorded, selected.snapshot, "test")
        for method, of_method in tested.items():
            pooled.setdefault(method, []).extend((run_dir.name, run) for run in of_method)
    if not pooled:
        names = ", ".join(str(run_dir) for run_dir, _ in runs)
        raise summary.RunDirectoryError(
            f"no test of {environment} is complete in {names}: finish it with python -m "
            "launch.evaluate"
        )
    lines = []
    for method in legend.ordered(pooled):
        returns = records.returns_by_episode([run for _, run in pooled[method]])
        points = statistics.trailing_mean(returns)
        low, high = statistics.confidence_interval_95(points)
        window = figures.smoothing_window(points.shape[1])
        mean, low, high = (
            statistics.smooth(part, window) for part in (points.mean(axis=0), low, high)
        )
        episodes = np.arange(1.0, points.shape[1] + 1)
        sources = tuple((name, run.key.task, run.key.seed) for name, run in pooled[method])
        lines.append(
            Line(
                method,
                legend.label(method),
                legend.colour(method),
                episodes,
                mean,
                low,
                high,
                sources,
                returns,
            )
        )
    return Panel(environment, "episodes", tuple(lines), _environment_steps(runs))


def _training_panel(
    environment: str, runs: Sequence[tuple[pathlib.Path, Mapping[str, Any]]]
) -> Panel:
    by_critic: dict[str, list[tuple[str, FloatArray, FloatArray]]] = {}
    for run_dir, identity in runs:
        steps, returns = _training_curve(store.read_records(run_dir, "training"))
        if len(steps) < 2:
            raise summary.RunDirectoryError(f"{run_dir} has no training curve yet: train longer")
        critic = identity.get("config", {}).get("networks", {}).get("critic", "task_id")
        by_critic.setdefault(critic, []).append((run_dir.name, steps, returns))
    lines = []
    for critic, (label, colour) in _CRITICS.items():
        curves = by_critic.get(critic)
        if curves:
            grid = np.linspace(
                max(steps[0] for _, steps, _ in curves),
                min(steps[-1] for _, steps, _ in curves),
                _GRID,
            )
            points = np.stack(
                [
                    statistics.smooth(np.interp(grid, steps, returns), _GRID_SMOOTHING)
                    for _, steps, returns in curves
                ]
            )
            low, high = statistics.confidence_interval_95(points)
            sources = tuple((name, None, None) for name, _, _ in curves)
            lines.append(
                Line(
                    critic,
                    label,
                    colour,
                    grid,
                    np.asarray(points.mean(axis=0), np.float64),
                    low,
                    high,
                    sources,
                    points,
                )
            )
    return Panel(environment, "environment steps", tuple(lines), _environment_steps(runs))


def _environment_steps(runs: Sequence[tuple[pathlib.Path, Mapping[str, Any]]]) -> tuple[int, ...]:
    """Returns the environment steps of training of each run that has a record of it."""
    last = (store.read_records(run_dir, "training")[-1:] for run_dir, _ in runs)
    steps = (
        record.get("environment_steps") for records_of_run in last for record in records_of_run
    )
    return tuple(int(number) for number in steps if number is not None)


def _training_curve(training: Sequence[Mapping[str, Any]]) -> tuple[FloatArray, FloatArray]:
    """Returns environment steps and training returns, without those that a restart rolled back."""
    points: list[tuple[float, float]] = []
    for record in reversed(training):
        steps, value = record.get("environment_steps"), record["training_return"]
        if steps is not None and value is not None and (not points or steps < points[-1][0]):
            points.append((steps, value))
    curve = np.array(points[::-1], dtype=np.float64).reshape(-1, 2)
    return curve[:, 0], curve[:, 1]


def write_figure(panels: Sequence[Panel], stem: pathlib.Path) -> list[pathlib.Path]:
    """Writes `stem` as .svg, .png, .html and .csv, and `stem`_runs.csv; returns the paths."""
    from results import panel_drawing  # Slow to import: it draws.

    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.with_suffix(suffix) for suffix in (".svg", ".png", ".html", ".csv")]
    for path in paths[:2]:
        panel_drawing.save(panels, path)
    with publish_file(paths[2]) as temporary:
        temporary.write_text(panel_drawing.page(panels), encoding="utf-8")
    curves = [
        (panel.environment, line.name, *point, line.runs)
        for panel in panels
        for line in panel.lines
        for point in zip(
            *(part.tolist() for part in (line.x, line.mean, line.low, line.high)), strict=True
        )
    ]
    _write_table(
        paths[3], ("environment", "line", "x", "mean", "ci95_low", "ci95_high", "runs"), curves
    )
    runs = [
        (panel.environment, line.name, *source, *values)
        for panel in panels
        for line in panel.lines
        for source, values in zip(line.sources, line.values.tolist(), strict=True)
    ]
    points = max(len(line.x) for panel in panels for line in panel.lines)
    names = (
        "environment",
        "line",
        "run_dir",
        "task",
        "seed",
        *(f"value_{point}" for point in range(1, points + 1)),
    )
    return [*paths, _write_table(stem.with_name(f"{stem.name}_runs.csv"), names, runs)]


def _write_table(
    path: pathlib.Path, names: Sequence[str], rows: Sequence[Sequence[str | float | None]]
) -> pathlib.Path:
    with publish_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(
            [f"{value:.6g}" if isinstance(value, float) else value for value in row] for row in rows
        )
    return path


def main(argv: Sequence[str]) -> int:
    """Draws the requested figure; returns the exit code."""
    values = flags.FLAGS
    if not values.run_dirs or values.figure is None or len(argv) > 1:
        message = (
            "say which runs and which figure: "
            "python -m results.figures --run_dirs=runs/A,runs/B --figure=1|2|4"
        )
        return fail(_PROGRAM, message, USAGE_ERROR)
    try:
        panels = paper_figure(values.run_dirs, values.figure)
    except (summary.RunDirectoryError, selection.SelectionError) as error:
        return fail(_PROGRAM, str(error), USAGE_ERROR)
    for panel in panels:
        if panel.one_seed:
            print(f"Note: {panel.environment}: {panel.one_seed}.", file=sys.stderr)
    try:
        for path in write_figure(panels, pathlib.Path(values.out) / f"figure_{values.figure}"):
            print(path)
    except OSError as error:
        return fail(_PROGRAM, f"the figure could not be written: {error}", FAILED)
    return 0


# The program is the module `results.figures`: its --help must list these flags as its own.
flags.disclaim_key_flags()


def define_flags() -> None:
    """Defines the program's flags."""
    flags.DEFINE(Paths(), "run_dirs", None, "Run directories; those of one environment are pooled.")
    flags.DEFINE_enum("figure", None, list(_ENVIRONMENTS), "The paper's figure.")
    flags.DEFINE(Path(), "out", "figures", "Folder of the files to write.")


def run() -> None:
    """Parses the flags, draws the figure and exits."""
    define_flags()
    run_program(_PROGRAM, main)

"""Reports a run's results: `python -m results.report --run_dir=runs/NAME [--split=test] [--json]`.

Without --json it prints the table and writes `report.html` and `figures/` into the run directory;
with it, it prints one line of JSON and writes nothing. If training failed, both say why.
Exit codes: 0 done, 1 training failed or the report could not be written, 2 wrong input.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pathlib
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from absl import flags

from results import conclusion, failed_run, lines, selection, summary, table
from results.command_line import FAILED, USAGE_ERROR, Path, fail
from results.command_line import run as run_program

_PROGRAM = "results.report"


@dataclasses.dataclass(frozen=True)
class Report:
    """A run's results; printed, they are the table.

    Attributes:
      summary: The numbers.
      page: The path of `report.html`; None except for the test tasks.
    """

    summary: summary.Summary
    page: pathlib.Path | None

    def __str__(self) -> str:
        return table.format_table(self.summary)


def report(run_dir: str | os.PathLike[str], split: str = "test") -> Report:
    """Summarises a run and, for the test tasks, writes what `write_report` does.

    Raises:
      RunDirectoryError: see `summary.summarise`.
      SelectionError: see `summary.summarise`.
    """
    result = summary.summarise(run_dir, split)
    return Report(result, write_report(result, run_dir) if split == "test" else None)


def write_report(result: summary.Summary, run_dir: str | os.PathLike[str]) -> pathlib.Path:
    """Writes a summary of the test tasks into a run directory.

    This writes `report.html`, `figures/adaptation.png`, `.svg`, `figures/training.png` and, unless
    all runs found reward in their first episode, `figures/found.png`, each atomically.

    Returns:
      The path of the page.

    Raises:
      OSError: if they cannot be written.
    """
    # Imported only here: it draws, and takes longer to import than all that --json does.
    from results import matplotlib_figures, page

    folder = pathlib.Path(run_dir)
    pictures = folder / "figures"
    pictures.mkdir(exist_ok=True)
    matplotlib_figures.save_adaptation(result.adaptation_figure, pictures / "adaptation.png")
    matplotlib_figures.save_adaptation(result.adaptation_figure, pictures / "adaptation.svg")
    if result.found_figure.curves:
        matplotlib_figures.save_adaptation(result.found_figure, pictures / "found.png")
    validation, training = result.validation_figure, result.training_figure
    matplotlib_figures.save_training(validation, training, pictures / "training.png")
    return page.write_page(page.format_page(result), folder)


def as_json(result: summary.Summary) -> str:
    """Returns the summary as one line of JSON.

    `by_episode` holds the plain mean return of each episode, `ci95_by_episode` its pooled interval
    [low, high]; they are not the trailing means of the figures. Numbers that do not exist are null.
    """
    return json.dumps(
        lines.plain(
            {
                "environment": result.environment,
                "experts_return": result.experts_return,
                "prior_return": result.prior_return,
                "snapshot_step": result.selected.snapshot,
                "learner_steps": result.training.learner_steps,
                "environment_steps": result.training.environment_steps,
                "training_minutes": result.training.minutes,
                "training_cpu_seconds": result.training.cpu_seconds,
                "methods": {method.method: _method_as_json(method) for method in result.methods},
            }
        ),
        allow_nan=False,
    )


def _method_as_json(method: summary.MethodSummary) -> dict[str, Any]:
    return {
        "n": method.n,
        "by_episode": method.by_episode,
        "ci95_by_episode": method.interval_by_episode.T,
        "found_share_by_episode": method.found_share_by_episode,
        "last3_mean": method.last3_mean,
        "last3_ci95": method.last3_interval,
        "iqm": method.iqm,
        "auc": method.auc,
        "episodes_to_90_percent": method.episodes_to_90_percent,
        "return_after_found": method.return_after_found,
        "td_error": method.td_error,
        "cpu_seconds": method.cpu_seconds,
    }


def _main(argv: Sequence[str]) -> int:
    run_dir = flags.FLAGS.run_dir
    if run_dir is None or len(argv) > 1:
        return fail(
            _PROGRAM,
            "say which run to report: python -m results.report --run_dir=runs/NAME [--json]",
            USAGE_ERROR,
        )
    try:
        failed = failed_run.read(run_dir)
        if failed is not None:
            return _report_failure(failed)
        result = summary.summarise(run_dir, flags.FLAGS.split)
    except (summary.RunDirectoryError, selection.SelectionError) as error:
        return fail(_PROGRAM, str(error), USAGE_ERROR)
    if flags.FLAGS.json:
        print(as_json(result))
        return 0
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Print ? for ± on a terminal that lacks it.
        sys.stdout.reconfigure(errors="replace")
    print(table.format_table(result))
    if flags.FLAGS.split != "test":
        return 0
    said = conclusion.conclusion(result)
    if said:
        print("\n" + textwrap.fill(said, 100))
    try:
        print(f"\nFigures and details: {write_report(result, run_dir).resolve().as_uri()}")
    except OSError as error:
        return fail(_PROGRAM, f"the page could not be written: {error}", FAILED)
    return 0


def _report_failure(failed: failed_run.FailedRun) -> int:
    """Prints and writes why there are no results; returns the exit code."""
    if flags.FLAGS.json:
        print(failed.as_json())
        return FAILED
    print(failed.text())
    try:
        print(f"\nWhat training recorded: {failed.write_page()}")
    except OSError as error:
        return fail(_PROGRAM, f"the page could not be written: {error}", FAILED)
    return FAILED


def define_flags() -> None:
    """Defines the program's flags."""
    flags.DEFINE(Path(), "run_dir", None, "The run directory, runs/NAME.")
    flags.DEFINE_enum(
        "split",
        "test",
        ["train", "validation", "test"],
        "Which tasks to report; the page is about the test tasks alone.",
    )
    flags.DEFINE_bool(
        "json", False, "Print one line of JSON instead of the table, and write no files."
    )


if __name__ == "__main__":
    define_flags()
    run_program(_PROGRAM, _main)

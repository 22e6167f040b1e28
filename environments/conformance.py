"""Checks a task distribution against the rules of `environments/distribution.py`.

    python -m environments.conformance my_tasks:MyTasks

Prints a line for each broken rule, with the fix. Exit codes: 0 it conforms, 1 it breaks a rule,
2 it cannot be loaded.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from environments import processes
from environments.apart import examine_apart
from environments.examination import ROUNDS, SWEEP_SECONDS, check, examine
from environments.registry import load, names
from environments.signals import INTERRUPTED
from iwpa.fields import Allowed

__all__ = ["check", "examine", "main"]

_CHECKED = (
    "declarations, specs, values, rewards, actions at their bounds, ends of episodes, set_task, "
    "repeatability, batches, pickling, that observations hide the task, "
    "and that every task can be stepped"
)


class _Parser(argparse.ArgumentParser):
    """An argument parser that prints errors as one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a report on the distribution named on the command line; returns the exit code."""
    processes.open_streams()
    parser = _Parser(
        prog="python -m environments.conformance",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("environment", help=f"your own as module:factory, or {', '.join(names())}")
    parser.add_argument(
        "--all-tasks",
        "--all_tasks",
        action="store_true",
        help=f"step every task, however long that takes (otherwise stop after {SWEEP_SECONDS:g} s)",
    )
    scale = Allowed(float, above=0)
    parser.add_argument(
        "--reward_scale",
        type=scale.parse,
        default=1.0,
        help="factor by which training will multiply rewards",
    )
    parser.add_argument(
        "--debug",
        action="store_true",
        help="run in this process, and show the traceback of a failed load",
    )
    options = parser.parse_args(arguments)
    seconds = None if options.all_tasks else SWEEP_SECONDS
    try:
        if options.debug:
            processes.go_on_watched()
            report = examine(load(options.environment), ROUNDS, options.reward_scale, seconds)
        else:
            report = examine_apart(
                options.environment,
                {},
                rounds=ROUNDS,
                reward_scale=options.reward_scale,
                sweep_seconds=seconds,
            )
    except ValueError as error:
        if options.debug:
            traceback.print_exc()
        parser.error(" ".join(str(error).split()))
    except KeyboardInterrupt:
        return INTERRUPTED
    for warning in report.warnings:
        print(f"warning: {warning}")
    if report.findings:
        print(f"{options.environment} breaks {len(report.findings)} of the rules:")
        print("\n".join(report.findings))
        return 1
    print(f"{options.environment} conforms. Checked: {_CHECKED}.")
    print(report.summary)
    return 0


if __name__ == "__main__":
    sys.exit(main())

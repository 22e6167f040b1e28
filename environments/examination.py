"""Examines a task distribution: its declarations, its episodes and every one of its tasks."""

from __future__ import annotations

from environments.comparison import Comparison
from environments.declarations import declaration_findings
from environments.distribution import TaskDistribution
from environments.recording import UnplayableError
from environments.report import Report
from environments.sweep import sweep
from environments.wording import shortened

ROUNDS = 4
SWEEP_SECONDS = 5.0
_LONGEST_LINE = 1000


def check(distribution: object, *, quick: bool = False, reward_scale: float = 1.0) -> list[str]:
    """Plays a few short series of episodes and returns the broken rules.

    Args:
        distribution: The object to check, a `TaskDistribution` if it conforms.
        quick: Plays one pair of tasks instead of four, and does not check that tasks differ.
        reward_scale: Factor by which training will multiply rewards.

    Returns:
        One line for each broken rule; empty if the distribution conforms.
    """
    return examine(distribution, 1 if quick else ROUNDS, reward_scale).findings


def examine(
    distribution: object,
    rounds: int = ROUNDS,
    reward_scale: float = 1.0,
    sweep_seconds: float | None = SWEEP_SECONDS,
) -> Report:
    """Does what `check` does, and also reports warnings and sizes.

    Args:
        distribution: The object to check, a `TaskDistribution` if it conforms.
        rounds: Number of pairs of tasks to compare.
        reward_scale: Factor by which training will multiply rewards.
        sweep_seconds: Time limit for building and stepping the tasks one after the other; None for
            no limit.

    Returns:
        The report.
    """
    if not isinstance(distribution, TaskDistribution):
        return Report(
            [
                f"This is a {type(distribution).__name__}: "
                "derive it from environments.TaskDistribution."
            ]
        )
    report = Report(declaration_findings(distribution))
    try:
        if not report.findings:
            comparison = Comparison(distribution, report, reward_scale)
            comparison.play(rounds)
            comparison.close()
        if not report.findings:
            swept = sweep(distribution, sweep_seconds)
            report.findings += swept.findings
            rest = "" if swept.stepped == swept.tasks else ", --all-tasks for the rest"
            report.summary += f"; {swept.stepped} of {swept.tasks} tasks built and stepped{rest}"
    except UnplayableError as error:
        report.findings.append(str(error))
    for lines in (report.findings, report.warnings):
        lines[:] = dict.fromkeys(shortened(line, _LONGEST_LINE) for line in lines)
    return report

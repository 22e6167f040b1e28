"""The report of a run whose training failed, as text, JSON and a page."""

from __future__ import annotations

import dataclasses
import html
import json
import os
import pathlib

from results import failure, store, summary, training_figures

_ADVICE = (
    "This run has no results. What to check: docs/training.md. Snapshots from before the failure "
    "can still be evaluated: python -m launch.evaluate --snapshot=STEP"
)


@dataclasses.dataclass(frozen=True, eq=False)
class FailedRun:
    """A run whose training failed and has not finished since."""

    folder: pathlib.Path
    environment: str
    failure: failure.TrainingFailure

    def text(self) -> str:
        """Returns the reason as text for a terminal."""
        minutes = f"Training: {self.failure.minutes:.1f} minutes, over all restarts"
        return f"{self.environment}: {self.failure}\n{minutes}\n{_ADVICE}"

    def as_json(self) -> str:
        """Returns the line of JSON: a report's fields without results, and the reason."""
        return json.dumps(
            {
                "environment": self.environment,
                "training_failed": self.failure.reason,
                "experts_return": None,
                "prior_return": None,
                "snapshot_step": None,
                "learner_steps": self.failure.learner_steps,
                "training_minutes": self.failure.minutes,
                "methods": {},
            }
        )

    def write_page(self) -> pathlib.Path:
        """Writes `report.html` with what training recorded; returns its path."""
        from results import page  # Slow to import: it draws.

        log = training_figures.TrainingLog()
        log.extend(store.read_records(self.folder, "training"))
        title = f"Training on {self.environment} failed"
        facts = [
            ("Learner steps", f"{self.failure.learner_steps:,}", "skipped ones included"),
            ("Training", f"{self.failure.minutes:.1f} min", "over all restarts"),
        ]
        body = [
            f"<h1>{html.escape(title)}</h1>",
            f'<p class="note">{html.escape(self.failure.reason)}</p>',
            f'<p class="faint">{html.escape(_ADVICE)}</p>',
            page.fact_list(facts),
            *page.training_curves(training_figures.training_figure(log)),
        ]
        return page.write_page(page.document(title, body), self.folder)


def read(run_dir: str | os.PathLike[str]) -> FailedRun | None:
    """Returns the run if its training failed, or None.

    Raises:
      RunDirectoryError: if the folder is not a run directory.
    """
    folder = pathlib.Path(run_dir)
    environment = str(summary.identity(folder)["environment"])
    failed = failure.training_failure(store.read_records(folder, "events"))
    return None if failed is None else FailedRun(folder, environment, failed)

"""What training gave, by the name of a shipped snapshot or from a folder."""

from __future__ import annotations

import hashlib
import os
import pathlib
from typing import Any

from iwpa import durable, snapshots
from iwpa.adapter import Adapter
from iwpa.methods.registry import METHODS
from iwpa.snapshots import Snapshot

_DATA = pathlib.Path(__file__).resolve().parent / "data"


class Trained:
    """A snapshot, and where it came from.

    Attributes:
        snapshot: The networks.
        path: The snapshot's directory.
    """

    def __init__(self, snapshot: Snapshot, path: pathlib.Path):
        self.snapshot, self.path = snapshot, path

    def adapter(self, **options: Any) -> Adapter:
        """Begins an adaptation to one task, with the options of `Adapter`.

        Raises:
            ValueError: If an option makes no sense.
        """
        return Adapter(self.snapshot, **options)

    def describe(self) -> None:
        """Prints what the snapshot is: environment, observations and scales, actions, control step, training, licence, sha256."""
        print(self)

    def __str__(self) -> str:
        snapshot, environment = self.snapshot, self.snapshot.environment
        lines = [f"snapshot      {self.path}"]
        if environment is None:
            lines.append("environment   not stated (version 1)")
        else:
            layout = environment.layout()
            lines += [
                f"environment   {environment.name}, episodes of {environment.episode_steps} control steps",
                f"control step  {'not stated' if environment.control_step is None else f'{environment.control_step:g} s'}",
                f"observations  {layout.size} numbers; as a flat array in this order:",
            ]
            prior = set(snapshot.spec.prior_columns)
            for key, shape, scale in layout.observed:
                hidden = "" if set(layout.columns(key)) <= prior else ", hidden from the prior"
                lines.append(f"              {key} {list(shape)}, scaled by {scale:g}{hidden}")
            low, high = environment.action_low, environment.action_high
            lines.append(f"actions       {snapshot.spec.action_size} numbers from {low} to {high}")
        lines += [
            f"training      {snapshot.step} learner steps of the agent {snapshot.agent} on {snapshot.spec.tasks} tasks, "
            f"discount {snapshot.discount:g}, rewards times {snapshot.reward_scale:g}",
            f"methods       {', '.join(METHODS.served_by_snapshot(snapshot))}; by default {METHODS.best(snapshot)}",
            f"licence       {snapshot.licence or 'not stated'}",
            f"sha256        {hashlib.sha256((self.path / snapshots.WEIGHTS).read_bytes()).hexdigest()}",
        ]
        return "\n".join(lines)


def names() -> list[str]:
    """Returns the names of the shipped snapshots."""
    return sorted(path.name for path in _DATA.iterdir() if path.is_dir())


def load(source: str | os.PathLike[str]) -> Trained:
    """Reads a snapshot.

    Args:
        source: The name of a shipped one, a snapshot's directory, or a run directory, of which the newest is taken.

    Raises:
        ValueError: If there is none.
        DamagedError: If it is truncated, altered or of a version that is not known here.
    """
    path = _DATA / source if str(source) in names() else pathlib.Path(source)
    if not (path / durable.MANIFEST).is_file():
        steps = snapshots.snapshot_steps(path / "snapshots")
        if not steps:
            raise ValueError(
                f"There is no snapshot {str(source)!r}: name one of {', '.join(names())}, or a directory with a snapshot."
            )
        path = path / "snapshots" / str(steps[-1])
    return Trained(snapshots.read_snapshot(path), path)

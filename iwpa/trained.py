"""Loads trained networks: a shipped snapshot by name, or one from a directory."""

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
    """A snapshot and its directory.

    Attributes:
        snapshot: The trained networks.
        path: The snapshot's directory.
    """

    def __init__(self, snapshot: Snapshot, path: pathlib.Path):
        self.snapshot, self.path = snapshot, path

    def adapter(self, **options: Any) -> Adapter:
        """Begins an adaptation to one task; takes the keyword arguments of `Adapter`.

        Raises:
            ValueError: If an argument is invalid.
        """
        return Adapter(self.snapshot, **options)

    def describe(self) -> None:
        """Prints the environment, observations, scales, actions, training, licence and sha256."""
        print(self)

    def __str__(self) -> str:
        snapshot, environment = self.snapshot, self.snapshot.environment
        sha256 = hashlib.sha256((self.path / snapshots.WEIGHTS).read_bytes()).hexdigest()
        lines = [f"snapshot      {self.path}"]
        if environment is None:
            lines.append("environment   not stated (version 1)")
        else:
            layout, seconds = environment.layout(), environment.control_step
            lines += [
                f"environment   {environment.name}, "
                f"episodes of {environment.episode_steps} control steps",
                f"control step  {'not stated' if seconds is None else f'{seconds:g} s'}",
                f"observations  {layout.size} numbers; as a flat array in this order:",
            ]
            prior = set(snapshot.spec.prior_columns)
            for key, shape, scale in layout.observed:
                hidden = "" if set(layout.columns(key)) <= prior else ", hidden from the prior"
                lines.append(f"              {key} {list(shape)}, scaled by {scale:g}{hidden}")
            low, high = environment.action_low, environment.action_high
            lines.append(f"actions       {snapshot.spec.action_size} numbers from {low} to {high}")
        lines += [
            f"training      {snapshot.step} learner steps of the agent {snapshot.agent} on "
            f"{snapshot.spec.tasks} tasks, discount {snapshot.discount:g}, "
            f"rewards times {snapshot.reward_scale:g}",
            f"methods       {', '.join(METHODS.served_by_snapshot(snapshot))}; "
            f"by default {METHODS.best(snapshot)}",
            f"licence       {snapshot.licence or 'not stated'}",
            f"sha256        {sha256}",
        ]
        return "\n".join(lines)


def names() -> list[str]:
    """Returns the names of the shipped snapshots."""
    return sorted(path.name for path in _DATA.iterdir() if path.is_dir())


def load(source: str | os.PathLike[str]) -> Trained:
    """Loads a snapshot.

    Args:
        source: The name of a shipped snapshot, a snapshot's directory, or a run directory, whose
            newest snapshot is loaded.

    Raises:
        ValueError: If there is no such snapshot, or `source` is neither a name nor a path.
        DamagedError: If it is truncated, altered or of an unknown version.
    """
    if not isinstance(source, str | os.PathLike):
        raise ValueError(f"A snapshot is a name or a path, not {source!r}.")
    path = _DATA / source if str(source) in names() else pathlib.Path(source)
    if not (path / durable.MANIFEST).is_file():
        steps = snapshots.snapshot_steps(path / "snapshots")
        if not steps:
            raise ValueError(
                f"There is no snapshot {str(source)!r}: name one of {', '.join(names())}, "
                "or a directory that holds a snapshot."
            )
        path = path / "snapshots" / str(steps[-1])
    return Trained(snapshots.read_snapshot(path), path)

"""A run directory that is read while it grows: each refresh costs what is new in it, nothing more."""

from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Mapping
from typing import Any

from results import fleet, recordings, records, selection, store, summary, tasks, training_figures

_FRESH_SECONDS = 0.5  # several open pages share what one of them had read
_MOST_EVENTS = (
    10_000  # that are kept: of older ones, those go that a run of weeks has by the hundred thousand
)
_FREQUENT = ("fault", "node_restarted")
_KINDS = ("adaptation", "training", "heartbeats", "levels", "events")


class LiveRun:
    """One run.

    Attributes:
      name: what the page calls it; no two runs have the same.
      path: its directory.
      revision: changes whenever something new was read.
      trouble: why the directory could not be read the last time, or None.
      configuration: the content of run.json, None until it is there.
      places: where tasks lie, None until that was written.
      events: of all nodes, in the order written.
      recordings: of adapted behaviour, sorted by key.
    """

    def __init__(self, name: str, path: pathlib.Path):
        self.name = name
        self.path = path
        self.revision = 0
        self.trouble: str | None = None
        self._polled = 0.0
        self._begin()

    def _begin(self) -> None:
        """Knows nothing of the run."""
        self.configuration: Mapping[str, Any] | None = None
        self.places: tasks.TaskPlaces | None = None
        self.events: list[store.Record] = []
        self.recordings: list[recordings.Recording] = []
        self.training = training_figures.TrainingLog()
        self.fleet = fleet.FleetLog()
        self._adaptation = records.AdaptationLog()
        self._levels: list[store.Record] = []
        self._readers = {kind: store.RecordReader(self.path, kind) for kind in _KINDS}
        self._recordings = recordings.RecordingReader(self.path)
        self._identity: object = None

    def poll(self) -> None:
        """Reads what is new."""
        if time.monotonic() < self._polled + _FRESH_SECONDS:
            return
        try:
            self._poll()
        except OSError as error:
            self.trouble = f"{self.path} cannot be read: {error.strerror or error}"
        else:
            unreadable = [path for reader in self._readers.values() for path in reader.unreadable]
            self.trouble = (
                f"{unreadable[0]} cannot be read: bring it back or delete it"
                if unreadable
                else None
            )
        self._polled = time.monotonic()

    def _poll(self) -> None:
        new = {kind: reader.poll() for kind, reader in self._readers.items()}
        identity = (_read_configuration(self.path / "run.json") or {}).get("identity")
        if any(reader.replaced for reader in self._readers.values()) or self._identity not in (
            None,
            identity,
        ):
            # What was read is of a run that is no longer there.
            self._begin()
            self.revision += 1
            new = {kind: reader.poll() for kind, reader in self._readers.items()}
        self._identity = identity
        found = self._recordings.poll()
        self._adaptation.extend(new["adaptation"])
        self.training.extend(new["training"])
        self.fleet.extend(new["heartbeats"], new["events"])
        self._levels += new["levels"]
        self.events += new["events"]
        if len(self.events) > _MOST_EVENTS:
            old, kept = self.events[: -_MOST_EVENTS // 2], self.events[-_MOST_EVENTS // 2 :]
            self.events = [event for event in old if event["event"] not in _FREQUENT] + kept
        self.recordings = sorted([*self.recordings, *found], key=lambda recording: recording.key)
        described = (self.configuration, self.places)
        self._describe()
        if any(new.values()) or found or described != (self.configuration, self.places):
            self.revision += 1

    def _describe(self) -> None:
        # Neither file is large, but neither changes after the start of a run, except for what a resumption changes.
        resumed = any(event["event"] == "configuration_changed" for event in self.events)
        if self.configuration is None or resumed:
            self.configuration = _read_configuration(self.path / "run.json") or self.configuration
        if self.places is None:
            self.places = tasks.read_tasks(self.path)

    @property
    def corrupt(self) -> int:
        """The number of lines and folders so far that hold nothing of ours."""
        unread = (
            sum(reader.corrupt for reader in self._readers.values()) + self._recordings.malformed
        )
        return unread + self._adaptation.malformed + self.training.malformed + self.fleet.malformed

    @property
    def environment(self) -> str | None:
        """The task distribution's name, None until run.json is there."""
        identity = (self.configuration or {}).get("identity")
        return str(identity.get("environment")) if isinstance(identity, dict) else None

    @property
    def selected(self) -> selection.Selection | None:
        """The selected snapshot, None until one is."""
        return selection.selected_snapshot(self.events)

    @property
    def progress(self) -> summary.Training:
        """How far training has come."""
        return summary.training_progress(self.training, self.events)

    @property
    def last_sign_of_life(self) -> float | None:
        """When a node last said that it lives, in unix seconds."""
        return max((node.last_seen for node in self.fleet.nodes()), default=None)

    def adaptation_runs(self) -> list[records.AdaptationRun]:
        """Returns all runs of adaptation, sorted by key."""
        return self._adaptation.runs()

    def splits(self) -> set[str]:
        """Returns the splits that were adapted to."""
        return {run.key.split for run in self.adaptation_runs()}

    def snapshots(self, split: str) -> list[int]:
        """Returns the snapshots that were adapted to a split's tasks, ascending."""
        return sorted(
            {run.key.snapshot for run in self.adaptation_runs() if run.key.split == split}
        )

    def snapshot(self, split: str, chosen: int | None) -> int | None:
        """Returns the snapshot to show: the chosen one, else the selected one, else the newest that was adapted, if any."""
        if chosen is not None:
            return chosen
        adapted = self.snapshots(split)
        selected = self.selected
        if selected is not None and selected.snapshot in adapted:
            return selected.snapshot
        return adapted[-1] if adapted else None

    def by_method(self, split: str, snapshot: int | None) -> dict[str, list[records.AdaptationRun]]:
        """Returns the runs of each method in its newest configuration, complete or not."""
        of_methods: dict[str, list[records.AdaptationRun]] = {}
        for run in self.adaptation_runs():
            if run.key.split == split and run.key.snapshot == snapshot:
                of_methods.setdefault(run.key.method, []).append(run)
        return {
            method: records.of_newest_configuration(runs) for method, runs in of_methods.items()
        }

    def levels(self, snapshot: int | None) -> dict[str, float | None]:
        """Returns the levels of "experts" and "prior" at a snapshot, None where they were not measured."""
        return (
            {"experts": None, "prior": None}
            if snapshot is None
            else records.levels(self._levels, snapshot)
        )

    def level_returns(self, snapshot: int) -> dict[str, dict[int, list[float]]]:
        """Returns the same by training task."""
        return records.level_returns(self._levels, snapshot)


def _read_configuration(path: pathlib.Path) -> Mapping[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # not there yet, or no JSON
        return None
    return content if isinstance(content, dict) else None

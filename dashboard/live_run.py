"""A run directory read while it grows; each refresh reads only what is new."""

from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from results import fleet, recordings, records, selection, store, summary, tasks, training_figures
from results.lines import Record

_FRESH_SECONDS = 0.5  # within which open pages share one read
# kept; of older ones, those kinds are dropped that reach hundreds of thousands in a run of weeks
_MOST_EVENTS = 10_000
_FREQUENT = ("fault", "node_restarted")
_KINDS = ("adaptation", "training", "heartbeats", "levels", "events")


class LiveRun:
    """One run.

    Attributes:
      name: the run's name on the page; unique.
      path: the run directory.
      revision: changes whenever new data were read.
      trouble: why the directory could not be read last time, or None.
      configuration: the content of run.json, None until it exists.
      coordinates: of the tasks, None until they are written.
      events: events of all nodes, in the order written.
      recordings: recordings of adaptation, sorted by key.
    """

    def __init__(self, name: str, path: pathlib.Path):
        self.name = name
        self.path = path
        self.revision = 0
        self.trouble: str | None = None
        self._polled = 0.0
        self._begin()

    def _begin(self) -> None:
        """Forgets all data of the run."""
        self.configuration: Mapping[str, Any] | None = None
        self.coordinates: tasks.TaskCoordinates | None = None
        self.events: list[Record] = []
        self.recordings: list[recordings.Recording] = []
        self.training = training_figures.TrainingLog()
        self.fleet = fleet.FleetLog()
        self._adaptation = records.AdaptationLog()
        self._levels: list[Record] = []
        self._readers = {kind: store.RecordReader(self.path, kind) for kind in _KINDS}
        self._recordings = recordings.RecordingReader(self.path)
        self._identity: object = None

    def poll(self) -> None:
        """Reads what has been written since the last call."""
        if time.monotonic() < self._polled + _FRESH_SECONDS:
            return
        try:
            self._poll()
        except OSError as error:
            self.trouble = f"{self.path} cannot be read: {error.strerror or error}"
        else:
            unreadable = [path for reader in self._readers.values() for path in reader.unreadable]
            self.trouble = (
                f"{unreadable[0]} cannot be read: restore or delete it" if unreadable else None
            )
        self._polled = time.monotonic()

    def _poll(self) -> None:
        new = {kind: reader.poll() for kind, reader in self._readers.items()}
        identity = (_read_configuration(self.path / "run.json") or {}).get("identity")
        if any(reader.replaced for reader in self._readers.values()) or self._identity not in (
            None,
            identity,
        ):
            # What was read belongs to a run that no longer exists.
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
        described = (self.configuration, self.coordinates)
        self._describe()
        if any(new.values()) or found or described != (self.configuration, self.coordinates):
            self.revision += 1

    def _describe(self) -> None:
        # Both files are small and fixed once the run has started, except that resuming updates
        # run.json.
        resumed = any(event["event"] == "configuration_changed" for event in self.events)
        if self.configuration is None or resumed:
            self.configuration = _read_configuration(self.path / "run.json") or self.configuration
        if self.coordinates is None:
            self.coordinates = tasks.read_tasks(self.path)

    @property
    def corrupt(self) -> int:
        """Number of invalid lines and folders so far."""
        unread = (
            sum(reader.corrupt for reader in self._readers.values()) + self._recordings.malformed
        )
        return unread + self._adaptation.malformed + self.training.malformed + self.fleet.malformed

    @property
    def environment(self) -> str | None:
        """The task distribution's name, None until run.json exists."""
        identity = (self.configuration or {}).get("identity")
        return str(identity.get("environment")) if isinstance(identity, dict) else None

    @property
    def selected(self) -> selection.Selection | None:
        """The selected snapshot, None until there is one."""
        return selection.selected_snapshot(self.events)

    @property
    def progress(self) -> summary.Training:
        """How far training has got."""
        return summary.training_progress(self.training, self.events)

    @property
    def last_sign_of_life(self) -> float | None:
        """Unix seconds of the latest heartbeat of any node, or None."""
        return max((node.last_seen for node in self.fleet.nodes()), default=None)

    def adaptation_runs(self) -> list[records.AdaptationRun]:
        """Returns all runs of adaptation, sorted by key."""
        return self._adaptation.runs()

    def splits(self) -> set[str]:
        """Returns the splits that have runs of adaptation."""
        return {run.key.split for run in self.adaptation_runs()}

    def snapshots(self, split: str) -> list[int]:
        """Returns the snapshots that were adapted to a split's tasks, in ascending order."""
        return sorted(
            {run.key.snapshot for run in self.adaptation_runs() if run.key.split == split}
        )

    def snapshot(self, split: str, chosen: int | None) -> int | None:
        """Returns the snapshot to show: the chosen, else the selected, else the newest adapted."""
        if chosen is not None:
            return chosen
        adapted = self.snapshots(split)
        selected = self.selected
        if selected is not None and selected.snapshot in adapted:
            return selected.snapshot
        return adapted[-1] if adapted else None

    def by_method(self, split: str, snapshot: int | None) -> dict[str, list[records.AdaptationRun]]:
        """Returns each method's runs in its newest config, complete or not."""
        of_methods: dict[str, list[records.AdaptationRun]] = {}
        for run in self.adaptation_runs():
            if run.key.split == split and run.key.snapshot == snapshot:
                of_methods.setdefault(run.key.method, []).append(run)
        return {
            method: records.of_newest_configuration(runs) for method, runs in of_methods.items()
        }

    def levels(self, snapshot: int | None) -> dict[str, float | None]:
        """Returns the levels of "experts" and "prior" at a snapshot, None if not measured."""
        return (
            {"experts": None, "prior": None}
            if snapshot is None
            else records.levels(self._levels, snapshot)
        )

    def level_returns(self, snapshot: int) -> dict[str, dict[int, list[float]]]:
        """Returns the returns behind these levels, by training task."""
        return records.level_returns(self._levels, snapshot)


def named_runs(paths: Sequence[pathlib.Path]) -> list[LiveRun]:
    """Returns a run for each distinct directory, named after it.

    A second run of the same name also gets its parent's name, or else a number.
    """
    runs: dict[str, LiveRun] = {}
    for absolute, path in {path.resolve(): path for path in paths}.items():
        # Commas separate names in the page's address.
        candidates = [
            absolute.name,
            f"{absolute.parent.name}-{absolute.name}",
            *(f"{absolute.name}-{number}" for number in range(2, 100)),
        ]
        name = next(
            name
            for name in (candidate.replace(",", "_") for candidate in candidates)
            if name not in runs
        )
        runs[name] = LiveRun(name, path)
    return list(runs.values())


def _read_configuration(path: pathlib.Path) -> Mapping[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # missing as yet, or not JSON
        return None
    return content if isinstance(content, dict) else None

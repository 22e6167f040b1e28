"""Recordings of adaptation, `RUN/videos/NAME/`: films of the first and last episode, all paths."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from results import records
from results.files import MALFORMED

FloatArray = npt.NDArray[np.float64]

FOLDER = "videos"
_FILE, _PATHS = "recording.json", "paths.json"
_DECIMALS = 4


@dataclasses.dataclass(frozen=True)
class Recording:
    """One recorded run of adaptation; its key is that of the run's records."""

    key: records.RunKey
    returns: tuple[float, ...]  # one per episode
    films: Mapping[int, str]  # file names by episode; empty if the environment cannot be drawn

    @property
    def name(self) -> str:
        """Name of its folder."""
        key = self.key
        return f"{key.split}-{key.task}-{key.method}-{key.seed}-{key.snapshot}-{key.configuration}"

    def write(self, folder: pathlib.Path, paths: Sequence[Sequence[npt.NDArray[Any]]]) -> None:
        """Writes everything except the films.

        Args:
          folder: the folder of the films.
          paths: where the body was after each of the T steps of an episode, [T + 1, D] for each
            episode, or none.
        """
        content = {
            "key": dataclasses.asdict(self.key),
            "returns": self.returns,
            "films": self.films,
        }
        (folder / _PATHS).write_text(
            json.dumps(
                [np.round(np.array(path, dtype=np.float64), _DECIMALS).tolist() for path in paths]
            ),
            encoding="utf-8",
        )
        (folder / _FILE).write_text(json.dumps(content) + "\n", encoding="utf-8")


class RecordingReader:
    """Finds a run's recordings, each once, while more are made.

    Attributes:
      malformed: number of folders so far that hold no valid recording.
    """

    def __init__(self, run_dir: str | os.PathLike[str]):
        self.malformed = 0
        self._folder = pathlib.Path(run_dir) / FOLDER
        self._seen: set[str] = set()

    def poll(self) -> list[Recording]:
        """Returns the recordings made since the last call, sorted by key."""
        try:
            names = {name for name in os.listdir(self._folder) if not name.startswith(".")}
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = []
        for name in sorted(names - self._seen):
            try:
                recording = _recording(
                    json.loads((self._folder / name / _FILE).read_text(encoding="utf-8"))
                )
                if recording.name != name:
                    raise ValueError(f"{name} holds {recording.name}")
            except MALFORMED:
                self.malformed += 1
            else:
                found.append(recording)
        self._seen |= names
        return sorted(found, key=lambda recording: recording.key)


def _recording(content: Mapping[str, Any]) -> Recording:
    return Recording(
        key=records.RunKey(
            **{
                field.name: content["key"][field.name]
                for field in dataclasses.fields(records.RunKey)
            }
        ),
        returns=tuple(float(value) for value in content["returns"]),
        films={int(episode): str(name) for episode, name in content["films"].items()},
    )


def read_paths(run_dir: str | os.PathLike[str], recording: Recording) -> list[FloatArray]:
    """Returns the body's path in each episode, each [T + 1, D]; empty if it was not traced."""
    try:
        paths = json.loads(
            (pathlib.Path(run_dir) / FOLDER / recording.name / _PATHS).read_text(encoding="utf-8")
        )
        return [np.array(path, dtype=np.float64) for path in paths]
    except (OSError, ValueError, TypeError, OverflowError, RecursionError):
        return []

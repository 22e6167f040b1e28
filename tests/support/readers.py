"""Every file reader, with a valid file to damage and the errors that it may raise."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Callable

import numpy as np
import synthetic_run

from agents.snapshots import write_snapshot
from iwpa import durable, snapshots
from iwpa.fields import read_values
from iwpa.network_config import NetworkSpec
from launch import run_directory
from launch.run_directory import RunDirectory
from launch.run_file import RunDirectoryError
from launch.settings import default_settings
from launch.stages import choices
from results import (
    costs,
    failure,
    fleet,
    recordings,
    records,
    selection,
    store,
    summary,
    tasks,
    training_figures,
)


@dataclasses.dataclass(frozen=True)
class Reader:
    """One kind of file.

    Attributes:
        name: The kind of file.
        path: The file, relative to the folder that all are written into.
        read: Reads the file as the programs do, given that folder, and uses the result.
        errors: The clear errors that damage may cause.
    """

    name: str
    path: str
    read: Callable[[pathlib.Path], object]
    errors: tuple[type[Exception], ...] = ()


def write(folder: pathlib.Path) -> list[Reader]:
    """Writes a valid file of each kind into a folder; returns their readers."""
    run = folder / "run"
    synthetic_run.write(run, films=False)
    (run / "run.json").unlink()
    settings = default_settings("sparse_navigation")
    run_directory.prepare(str(run), settings)
    with store.RecordWriter(run, "events", "tune") as events:
        config = dataclasses.asdict(settings.adaptation_config("iw", 4))
        events.append(
            {
                "event": "configuration_chosen",
                "method": "iw",
                "snapshot": 200,
                "configuration": config,
                "score": 1.0,
            }
        )
        events.append(
            {
                "event": costs.ADAPTED,
                "split": "test",
                "method": "iw",
                "configuration": "a",
                "snapshot": 200,
                "cpu_seconds": 1.0,
            }
        )
    key = records.RunKey("test", "prior", "first", 1, 0, 200)
    recording = recordings.Recording(key, (0.0, 1.0), {1: "first.mp4"})
    film = run / recordings.FOLDER / recording.name
    film.mkdir(parents=True)
    recording.write(film, [[np.array([step / 10, 0.0]) for step in range(8)]])
    spec = NetworkSpec(
        observation_size=3, prior_columns=(0, 1), action_size=2, tasks=4, task_reward_heads=False
    )
    weights = {
        name: np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
        for name in ("heads", "psi/w", "prior/w")
    }
    write_snapshot(folder, 7, spec, settings.config, weights)
    (folder / "values.json").write_text(
        json.dumps(
            {"losses": {"discount": 0.5, "kl_cost": 1}, "networks": {"policy_layers": [8, 9]}}
        )
    )

    def of_kind(kind: str) -> str:
        return str(sorted((run / "results" / kind).iterdir())[0].relative_to(folder))

    refusals = (summary.RunDirectoryError, selection.SelectionError)
    manifest, arrays = "7/manifest.json", "7/weights.safetensors"
    return [
        Reader("records of adaptation", of_kind("adaptation"), _adaptation, refusals),
        Reader(
            "records of levels",
            of_kind("levels"),
            lambda at: records.level_returns(store.read_records(at / "run", "levels"), 200),
        ),
        Reader("records of training", of_kind("training"), _training),
        Reader("records of heartbeats", of_kind("heartbeats"), _heartbeats),
        Reader("events", of_kind("events"), _events, (ValueError,)),
        Reader(
            "a report's events",
            of_kind("events"),
            lambda at: summary.summarise(at / "run"),
            refusals,
        ),
        Reader(
            "run.json of a report",
            "run/run.json",
            lambda at: summary.identity(at / "run"),
            refusals,
        ),
        Reader(
            "run.json",
            "run/run.json",
            lambda at: run_directory.open_run(str(at / "run"))[1],
            (RunDirectoryError,),
        ),
        Reader("tasks.json", "run/tasks.json", _coordinates),
        Reader("recording.json", str((film / "recording.json").relative_to(folder)), _recordings),
        Reader(
            "paths.json",
            str((film / "paths.json").relative_to(folder)),
            lambda at: recordings.read_paths(at / "run", recording),
        ),
        Reader("a manifest", manifest, lambda at: durable.check(at / "7"), (durable.DamagedError,)),
        Reader("a snapshot's manifest", manifest, _snapshot, (durable.DamagedError,)),
        Reader("a snapshot's weights", arrays, _snapshot, (durable.DamagedError,)),
        Reader(
            "weights that their manifest vouches for",
            arrays,
            _vouched_snapshot,
            (durable.DamagedError,),
        ),
        Reader(
            "a file of hyper-parameters",
            "values.json",
            lambda at: read_values(at / "values.json"),
            (ValueError,),
        ),
    ]


def _adaptation(folder: pathlib.Path) -> object:
    log = records.AdaptationLog()
    log.extend(store.read_records(folder / "run", "adaptation"))
    runs = log.runs()
    selection.score_snapshots(runs)
    return summary.summarise(folder / "run")


def _training(folder: pathlib.Path) -> object:
    log = training_figures.TrainingLog()
    log.extend(store.read_records(folder / "run", "training"))
    run_directory.resumable_checkpoint(RunDirectory(folder / "run" / "nowhere"))
    return training_figures.training_figure(log).columns(), log.reached


def _heartbeats(folder: pathlib.Path) -> object:
    log = fleet.FleetLog()
    log.extend(store.read_records(folder / "run", "heartbeats"), [])
    return log.nodes(), log.figure().columns(), costs.training_cpu_seconds(folder / "run")


def _events(folder: pathlib.Path) -> object:
    found = store.read_records(folder / "run", "events")
    choices.chosen_configuration(RunDirectory(folder / "run"), "iw", 200, 5)
    return (
        failure.training_failure(found),
        selection.selected_snapshot(found),
        costs.adaptation_cpu_seconds(found, "test", 200),
    )


def _coordinates(folder: pathlib.Path) -> object:
    coordinates = tasks.read_tasks(folder / "run")
    return coordinates and coordinates.of("test", 1)


def _recordings(folder: pathlib.Path) -> object:
    return recordings.RecordingReader(folder / "run").poll()


def _snapshot(folder: pathlib.Path) -> object:
    return snapshots.read_snapshot(folder / "7")


def _vouched_snapshot(folder: pathlib.Path) -> object:
    """Reads like `_snapshot`, with a manifest that matches the damaged weights."""
    manifest = json.loads((folder / "7" / "manifest.json").read_text())
    manifest["sha256"]["weights.safetensors"] = hashlib.sha256(
        (folder / "7" / "weights.safetensors").read_bytes()
    ).hexdigest()
    (folder / "7" / "manifest.json").write_text(json.dumps(manifest))
    return snapshots.read_snapshot(folder / "7")

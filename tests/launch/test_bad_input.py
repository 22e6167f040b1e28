"""Wrong input gives exit code 2 and one line with value and fix, before anything starts."""

from __future__ import annotations

import pathlib

import pytest
import untrained
from program import python

from agents.config import default_config
from launch.run_directory import evaluated, owned, prepare
from launch.settings import default_settings
from results.store import RecordWriter, read_records


def run(module: str, *flags: str) -> tuple[int, str]:
    shown = python("-m", module, *flags, timeout=60)
    return shown.returncode, shown.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--environment=nowhere"], ["'nowhere'", "sparse_navigation", "module:factory"]),
        (["--environment=nowhere:Nothing"], ["'nowhere:Nothing'", "nowhere"]),
        (["--environment=sparse_navigation", "--task_set=mine"], ["'mine'", "pearl"]),
        (["--environment=tiny_distribution:Line", "--task_set=mine"], ["task_set", "'mine'"]),
        (
            ["--environment=tiny_distribution:LeakyLine"],
            [
                "breaks a rule",
                "'position' differs between two tasks",
                "python -m environments.conformance tiny_distribution:LeakyLine",
            ],
        ),
        (
            ["--environment=sparse_navigation", "--options=training"],
            ["--options", "NAME=VALUE", "'training'"],
        ),
        (
            ["--environment=sparse_navigation", "--options=training=lazy"],
            ["'lazy'", "dense or sparse"],
        ),
        (
            ["--environment=sparse_navigation", "--options=colour=2"],
            ["colour", "sparse_navigation", "2"],
        ),
        (["--environment=half_cheetah_velocity", "--options=observations=16"], ["16", "20 or 17"]),
        (
            ["--environment=tiny_distribution:Line", "--critic=task_description"],
            ["line", "--critic=task_id"],
        ),
        (["--environment=sparse_navigation", "--learner_steps=0"], ["learner_steps", "0"]),
        (["--environment=sparse_navigation", "--speed=9"], ["--speed", "did you mean --seed?"]),
        (
            ["--environment=sparse_navigation", "--config.losses.kl_csot=1"],
            ["did you mean --config.losses.kl_cost?"],
        ),
        (
            ["--environment=sparse_navigation", "--config={tmp}/mine.json"],
            ["mine.json", "losses.discount", "below 1", "nan"],
        ),
        (["--environment=sparse_navigation", "fast"], ["'fast'"]),
        ([], ["--environment", "missing"]),
    ],
)
def test_of_the_training_command(
    tmp_path: pathlib.Path, flags: list[str], words: list[str]
) -> None:
    (tmp_path / "mine.json").write_text('{"losses": {"discount": NaN}}')
    flags = [flag.format(tmp=tmp_path) for flag in flags]
    code, message = run("launch.local_multiprocess", f"--run_dir={tmp_path / 'run'}", *flags)
    assert code == 2
    assert_one_line_with(message, words)
    assert not (tmp_path / "run").exists()


def test_a_missing_run_dir(tmp_path: pathlib.Path) -> None:
    code, message = run("launch.local_multiprocess", "--environment=sparse_navigation")
    assert code == 2
    assert_one_line_with(message, ["--run_dir", "missing"])


def test_a_directory_of_another_run(tmp_path: pathlib.Path) -> None:
    prepare(str(tmp_path), default_settings("sparse_navigation", seed=1))
    code, message = run(
        "launch.local_multiprocess", "--environment=sparse_navigation", f"--run_dir={tmp_path}"
    )
    assert code == 2
    assert_one_line_with(message, ["seed is 1, not 0", str(tmp_path)])


def test_a_directory_below_a_file(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    code, message = run(
        "launch.local_multiprocess",
        "--environment=sparse_navigation",
        f"--run_dir={tmp_path}/file/run",
    )
    assert code == 2
    assert_one_line_with(message, ["--run_dir", "Choose another"])


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--tasks=30"], ["Task 30", "0 to 29"]),
        (["--split=validation", "--tasks=10"], ["Task 10", "0 to 9"]),
        (["--adaptation.speed=3"], ["--adaptation.speed", "did you mean --adaptation."]),
        (["--adaptation.kl_bound=9"], ["kl_bound", "below log K = 4.16", "9"]),
        (["--snapshot=7"], ["--snapshot=7", "none"]),
        ([], ["no snapshot", "repeat the command"]),
    ],
)
def test_of_the_evaluation_command(
    tmp_path: pathlib.Path, flags: list[str], words: list[str]
) -> None:
    prepare(str(tmp_path), default_settings("sparse_navigation"))
    code, message = run("launch.evaluate", f"--run_dir={tmp_path}", *flags)
    assert code == 2
    assert_one_line_with(message, words)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--methods=prior"], ["'prior'", "shared_q_iw"]),
        (
            ["--methods=iw", "--adaptation.kl_bound=1"],
            ["adaptation.kl_bound", "tuning iw searches it"],
        ),
        ([], ["no snapshot", "repeat the command"]),
    ],
)
def test_of_the_tuning_command(tmp_path: pathlib.Path, flags: list[str], words: list[str]) -> None:
    prepare(str(tmp_path), default_settings("sparse_navigation"))
    code, message = run("launch.tune", f"--run_dir={tmp_path}", *flags)
    assert code == 2
    assert_one_line_with(message, words)


@pytest.mark.parametrize("module", ["launch.evaluate", "launch.tune", "launch.local_multiprocess"])
def test_a_second_evaluation_of_a_run_is_refused_while_one_is_running(
    tmp_path: pathlib.Path, module: str
) -> None:
    directory = prepare(str(tmp_path), default_settings("tiny_distribution:Line"))
    with RecordWriter(tmp_path, "events", "learner") as events:
        events.append(
            {
                "event": "training_finished",
                "reason": "learner_steps",
                "learner_steps": 10**9,
                "minutes": 1.0,
            }
        )
    environment = (
        ["--environment=tiny_distribution:Line"] if module == "launch.local_multiprocess" else []
    )
    with evaluated(directory):
        code, message = run(module, f"--run_dir={tmp_path}", *environment)
    assert code == 2
    assert_one_line_with(
        message, ["Another program evaluates or tunes", str(tmp_path), "wait until it ends"]
    )


def test_reports_and_training_run_beside_an_evaluation_and_another_may_follow(
    tmp_path: pathlib.Path,
) -> None:
    settings = default_settings("tiny_distribution:Line")
    with owned(str(tmp_path), settings) as directory, evaluated(directory):
        assert "no snapshot" in run("results.report", f"--run_dir={tmp_path}")[1]
    with evaluated(directory), owned(str(tmp_path), settings):
        pass
    assert "no snapshot" in run("launch.evaluate", f"--run_dir={tmp_path}")[1]


def test_an_evaluation_of_a_run_that_cannot_be_written_to(tmp_path: pathlib.Path) -> None:
    prepare(str(tmp_path), default_settings("tiny_distribution:Line"))
    (tmp_path / ".evaluation.lock").mkdir()
    code, message = run("launch.evaluate", f"--run_dir={tmp_path}")
    assert code == 2
    assert_one_line_with(message, [f"Cannot write to --run_dir={tmp_path}", "Is a directory"])


def test_evaluating_a_directory_that_is_no_run_directory(tmp_path: pathlib.Path) -> None:
    code, message = run("launch.evaluate", f"--run_dir={tmp_path}")
    assert code == 2
    assert_one_line_with(message, [str(tmp_path), "run.json"])


def test_a_snapshot_of_another_environment_is_refused_naming_the_field(
    tmp_path: pathlib.Path,
) -> None:
    from agents.snapshots import write_snapshot

    other = default_settings("tiny_distribution:Line")
    spec = other.network_spec(other.distribution())
    config = default_config("line", 5)
    directory = prepare(str(tmp_path), default_settings("sparse_navigation"))
    write_snapshot(directory.snapshots, 7, spec, config, untrained.weights(spec, config))
    code, message = run("launch.evaluate", f"--run_dir={tmp_path}", "--snapshot=7")
    assert code == 2
    assert_one_line_with(message, ["step 7", "action_size 1", "2"])


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-50], lambda data: data[:-50] + b"\xff" * 50]
)
def test_a_damaged_snapshot_is_replaced_by_the_one_before_with_a_warning(
    tmp_path: pathlib.Path, damage
) -> None:

    settings = default_settings("tiny_distribution:Line")
    directory = prepare(str(tmp_path), settings)
    for step in (5, 9):
        untrained.snapshot(directory, settings, step, step)
    weights = directory.snapshots / "9" / "weights.safetensors"
    weights.write_bytes(damage(weights.read_bytes()))
    with RecordWriter(tmp_path, "events", "evaluate") as events:
        events.append({"event": "snapshot_selected", "snapshot": 9, "score": 1.0})
    code, message = run(
        "launch.evaluate", f"--run_dir={tmp_path}", "--methods=prior", "--episodes=2", "--seeds=1"
    )
    assert code == 0
    assert "snapshot 9 is damaged: using that of step 5" in message
    tested = {
        record["snapshot"]
        for record in read_records(tmp_path, "adaptation")
        if record["split"] == "test"
    }
    assert tested == {5}


def test_debug_shows_the_traceback(tmp_path: pathlib.Path) -> None:
    _, message = run("launch.evaluate", f"--run_dir={tmp_path}", "--debug")
    assert "Traceback" in message


def test_help_explains_and_lists_every_flag() -> None:
    shown = python("-m", "launch.local_multiprocess", "--help", timeout=60)
    for words in (
        "resumes",
        "--environment",
        "--run_dir",
        "--minutes",
        "--learner_steps",
        "--actors",
        "--task_set_seed",
    ):
        assert words in shown.stdout


def assert_one_line_with(message: str, words: list[str]) -> None:
    assert len(message.strip().splitlines()) == 1, message
    for word in words:
        assert word in message

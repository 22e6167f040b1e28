from __future__ import annotations

import subprocess
import sys

import pytest

from results import store, training_curves
from results.summary import RunDirectoryError


def test_the_curves_of_a_run_are_a_picture(tmp_path, write_run):
    write_run(tmp_path / "run")
    metrics = {"kl_cost": 0.01, "kl_to_prior": 2.0, "rho_q50": 0.0, "rho_q90": 1.0}
    with store.RecordWriter(tmp_path / "run", "training", "learner") as writer:
        for step in (400, 500):
            record = {"learner_steps": step, "minutes": 5.0, "training_return": None}
            writer.append({**record, "training_reward_return": -1.0, "metrics": metrics})
    command = [sys.executable, "-m", "results.training_curves", f"--run_dir={tmp_path / 'run'}"]
    done = subprocess.run(command, capture_output=True, text=True)
    picture = tmp_path / "run" / "figures" / "training_curves.png"
    assert (done.returncode, done.stdout) == (0, f"{picture}\n"), done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_without_a_record_there_is_nothing_to_draw(tmp_path):
    (tmp_path / "run.json").write_text('{"identity": {"environment": "reach"}}')
    with pytest.raises(RunDirectoryError, match="no record of training yet"):
        training_curves.write(tmp_path, tmp_path / "curves.png")

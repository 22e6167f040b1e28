"""The recurrent agents run in the same program."""

from __future__ import annotations

import pytest
from program import Program, leftover_processes, python

from launch.run_directory import prepare
from launch.settings import default_settings
from results.store import read_records

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize("agent", ["rl2", "pearl"])
def test_a_recurrent_agent_trains_validates_selects_adapts_and_reports(
    program: Program, agent: str
) -> None:
    program.start(f"--agent={agent}", "--learner_steps=4")
    code, output = program.finish()
    assert code == 0, output
    assert leftover_processes(program.run_dir) == []
    (report,) = program.reports()
    assert report["learner_steps"] == 4
    assert set(report["methods"]) == {agent}
    assert report["methods"][agent]["n"] == 2 * 3
    assert len(report["methods"][agent]["by_episode"]) == 40
    assert report["experts_return"] is report["prior_return"] is None
    splits = {
        record["split"]: record["method"] for record in read_records(program.run_dir, "adaptation")
    }
    assert splits == {"validation": agent, "test": agent}
    for picture in ("report.html", "figures/adaptation.png", "figures/training.png"):
        assert (program.run_dir / picture).stat().st_size > 1000


def _refused(module: str, *arguments: str) -> str:
    done = python("-m", module, *arguments)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


def test_methods_of_another_agent_are_refused(tmp_path) -> None:
    line = _refused(
        "launch.local_multiprocess",
        "--environment=tiny_distribution:Line",
        f"--run_dir={tmp_path}/a",
        "--agent=rl2",
        "--methods=prior",
    )
    assert "--agent=multitask" in line
    prepare(str(tmp_path / "b"), default_settings("tiny_distribution:Line", agent="pearl"))
    assert "--agent=rl2" in _refused("launch.evaluate", f"--run_dir={tmp_path}/b", "--methods=rl2")
    assert "nothing to tune" in _refused("launch.tune", f"--run_dir={tmp_path}/b")


def test_a_run_of_another_agent_is_another_run(tmp_path) -> None:
    prepare(str(tmp_path), default_settings("tiny_distribution:Line", agent="rl2"))
    line = _refused(
        "launch.local_multiprocess",
        "--environment=tiny_distribution:Line",
        f"--run_dir={tmp_path}",
        "--agent=pearl",
    )
    assert "another run: its config.agent is rl2, not pearl" in line

"""The examples, shortened as far as possible, and README's first code block."""

from __future__ import annotations

import csv
import json
import re

import pytest
from program import ENVIRONMENT, ROOT, python

EXAMPLES = ROOT / "examples"


def run(*arguments, folder, **variables):
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg", **variables}
    shown = python(*arguments, folder=folder, variables=environment)
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


def returns(line):
    return [float(value) for value in line.partition(":")[2].split(",")]


def test_half_cheetah_adapts_to_a_hidden_speed(tmp_path):
    shown = run(EXAMPLES / "half_cheetah.py", "--episodes=2", "--speed=1.5", folder=tmp_path)
    # The prior's first episode returns -207; the default method adapts within its own first
    # episode.
    assert min(returns(shown.splitlines()[0])) > -80
    assert "hypotheses" in shown


def test_the_robot_runs_and_logs(tmp_path):
    run(EXAMPLES / "robot.py", "--seconds=0.2", folder=tmp_path)
    rows = list(csv.DictReader((tmp_path / "robot.csv").open(newline="")))
    assert len(rows) % 20 == 0
    assert [row["step"] for row in rows[:20]] == [str(step) for step in range(1, 21)]
    assert (tmp_path / "robot" / "manifest.json").is_file()


def test_an_offline_warm_start_helps_from_the_first_episode_on(tmp_path):
    cold, warm = run(
        EXAMPLES / "warm_start.py", "--episodes=1", "--steps=400", folder=tmp_path
    ).splitlines()
    assert returns(warm) > returns(cold)


def test_the_notebook_runs_and_has_no_output_in_it(tmp_path):
    cells = json.loads((EXAMPLES / "learning_curve.ipynb").read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in code)
    text = "\n".join("".join(cell["source"]) for cell in code)
    shorter = text.replace("SPEEDS, EPISODES = (0.6, 1.4, 2.4), 5", "SPEEDS, EPISODES = (1.4,), 1")
    shorter = shorter.replace("plt.show()", 'plt.savefig("curve.png")')
    assert shorter.count("1.4") == 1
    (tmp_path / "notebook.py").write_text(shorter)
    shown = run(tmp_path / "notebook.py", folder=tmp_path, PYTHONPATH=f"{ROOT}:{EXAMPLES}")
    assert "half_cheetah_velocity, episodes of 200 control steps" in shown
    assert (tmp_path / "curve.png").stat().st_size > 5000


@pytest.mark.parametrize("document", ["README.md", "docs/control_loop.md"])
def test_the_first_block_of_code_works(document, tmp_path):
    (block, *_) = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), flags=re.DOTALL)
    (tmp_path / "block.py").write_text(block)
    shown = run(tmp_path / "block.py", folder=tmp_path)
    assert float(shown.split()[-1]) > 5.0

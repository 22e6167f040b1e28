"""The code in docs/your_environment.md, which users copy, conforms, trains and adapts."""

from __future__ import annotations

import json
import pathlib
import re

import pytest
from program import ROOT, Program, python

from results.store import read_records

pytestmark = pytest.mark.timeout(300)

_BLOCKS = re.findall(
    r"^```python\n(.*?)^```$",
    (ROOT / "docs" / "your_environment.md").read_text(),
    re.MULTILINE | re.DOTALL,
)
_MODULES = {"my_tasks": "ParkTheCart", "my_gymnasium_tasks": "pendulum_gravity"}


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder with the files of the walk-through."""
    for name, code in zip(_MODULES, _BLOCKS, strict=True):
        (tmp_path / f"{name}.py").write_text(code)
    return tmp_path


@pytest.mark.parametrize(("module", "factory"), _MODULES.items())
def test_the_code_conforms(folder: pathlib.Path, module: str, factory: str) -> None:
    shown = python(
        "-m", "environments.conformance", f"{module}:{factory}", folder=folder, timeout=60
    )
    assert (shown.returncode, shown.stderr) == (0, ""), shown.stdout
    assert "warning" not in shown.stdout


def test_the_code_has_fewer_than_60_lines() -> None:
    assert len([line for line in _BLOCKS[0].splitlines() if line.strip()]) < 60


def test_the_code_trains_and_adapts(folder: pathlib.Path, program: Program) -> None:
    program.environment, program.folder = "my_tasks:ParkTheCart", folder
    program.start("--learner_steps=1", "--methods=prior,shared_q_iw_hypotheses")
    code, output = program.finish()
    assert code == 0, output
    assert (
        json.loads((program.run_dir / "run.json").read_text())["identity"]["environment"]
        == "my_tasks:ParkTheCart"
    )
    adapted = read_records(program.run_dir, "adaptation")
    assert {record["method"] for record in adapted if record["split"] == "test"} == {
        "prior",
        "shared_q_iw_hypotheses",
    }
    assert {record["task"] for record in adapted if record["split"] == "test"} == set(range(3))

from __future__ import annotations

import subprocess
import sys

import pytest

from results import command_line


@pytest.mark.parametrize(
    "module", ["results.report", "results.figures", "results.training_curves", "dashboard"]
)
def test_a_closed_pipe_ends_help_quietly(module):
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.wait()


@pytest.mark.parametrize(
    "module", ["results.report", "results.figures", "results.training_curves", "dashboard"]
)
def test_help_is_no_failure(module):
    shown = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=False
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "--run_dir" in shown.stdout.partition("flags:")[2]
    assert f"python -m {module}" in shown.stdout


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("a,b", ["a", "b"]),
        ("a, b c", ["a", "b c"]),
        ('"a,b",c', ["a,b", "c"]),
    ],
)
def test_paths_are_separated_by_commas_and_may_have_some_in_quotes(text, paths):
    assert command_line.Paths().parse(text) == paths


def test_a_folder_that_is_there_counts_as_one_path_with_its_comma(tmp_path):
    folder = tmp_path / "a,b"
    folder.mkdir()
    assert command_line.Paths().parse(str(folder)) == [str(folder)]


@pytest.mark.parametrize("text", ["", "a,a", "a,,b", "gs://bucket/x,a", '"a'])
def test_lists_of_paths_that_make_no_sense_are_refused(text):
    with pytest.raises(ValueError, match="takes"):
        command_line.Paths().parse(text)


def test_a_long_message_is_cut(capsys):
    assert command_line.fail("program", "x" * 10**6, 2) == 2
    assert len(capsys.readouterr().err) < 2100

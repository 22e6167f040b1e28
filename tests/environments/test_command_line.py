"""What commands share: exit codes, one-line errors, and a TensorFlow that works when it is imported while they run."""

from __future__ import annotations

import subprocess
import sys

import pytest
from program import ENVIRONMENT, ROOT

_LOOP = """
def main():
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def power(base):
        return tf.while_loop(lambda index, _: index < 3, lambda index, value: (index + 1, value * base), (0, 1.0))[1]

    print(f"{power(tf.constant(2.0)).numpy():g}")
    return 0
"""


def run(body: str, *flags: str) -> subprocess.CompletedProcess[str]:
    script = f"from environments import command_line\n{body}\ncommand_line.run(main, 'What it does.')\n"
    return subprocess.run([sys.executable, "-c", script, *flags], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def test_functions_that_commands_compile_may_have_loops() -> None:
    shown = run(_LOOP)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout == "8\n"


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("def main(): return 0", 0, ""),
        ("def main(): return 7", 7, ""),
        ("def main(): raise ValueError('4 is odd: give 5.')", 2, "error: 4 is odd: give 5.\n"),
        ("def main(): raise OSError('the disk is full')", 1, "error: the disk is full\n"),
        ("def main(): raise KeyboardInterrupt", 130, ""),
    ],
)
def test_how_a_command_ends_is_told_by_its_exit_code_and_one_line(body: str, code: int, message: str) -> None:
    shown = run(body)
    assert (shown.returncode, shown.stderr) == (code, message)


def test_an_error_of_the_program_itself_keeps_its_traceback() -> None:
    shown = run("def main(): raise TypeError('a bug')")
    assert shown.returncode == 1
    assert "Traceback" in shown.stderr

"""What commands share: exit codes, one-line errors, and a TensorFlow that works when it is imported while they run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import nodes
import psutil
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
    script = (
        f"from environments import command_line\n{body}\ncommand_line.run(main, 'What it does.')\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script, *flags],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


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
        ("import sys\ndef main(): sys.exit(0)", 1, "error: a user's code called sys.exit(0)\n"),
        ("import os\ndef main(): os._exit(0)", 1, "error: a user's code called os._exit(0)\n"),
        (
            "def main(): raise ValueError('x' * 10**6)",
            2,
            "error: " + "x" * 2000 + "... (1000000 characters)\n",
        ),
    ],
)
def test_how_a_command_ends_is_told_by_its_exit_code_and_one_line(
    body: str, code: int, message: str
) -> None:
    shown = run(body)
    assert (shown.returncode, shown.stderr) == (code, message)


def test_an_error_of_the_program_itself_keeps_its_traceback() -> None:
    shown = run("def main(): raise TypeError('a bug')")
    assert shown.returncode == 1
    assert "Traceback" in shown.stderr


def test_a_thread_that_does_not_end_keeps_no_command_from_ending() -> None:
    shown = run(
        "import threading, time\ndef main():\n threading.Thread(target=time.sleep, args=(1000,), name='slow').start()\n return 3"
    )
    assert (shown.returncode, shown.stderr) == (3, "Threads that did not end are left: slow.\n")


def test_what_a_command_started_ends_with_it_however_deep() -> None:
    body = (
        "import subprocess\n"
        "def main():\n"
        " child = subprocess.Popen(['sh', '-c', 'setsid sleep 1000 & echo $!'], stdout=subprocess.PIPE, text=True)\n"
        " print(child.stdout.readline(), flush=True)\n child.wait()\n return 0"
    )
    pid = int(run(body).stdout)
    assert not psutil.pid_exists(pid)


_STARTS = (
    "import os, signal, subprocess, time\n"
    "def main():\n"
    " signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    " pid = os.fork() or time.sleep(1000)\n"
    " print(pid, subprocess.Popen(['setsid', 'sleep', '1000']).pid, os.getpid(), os.getppid(), flush=True)\n"
    " time.sleep(1000)"
)


@pytest.mark.parametrize("killed", ["the command", "what watches", "the program"])
def test_what_a_command_started_ends_with_it_when_it_is_killed(killed: str) -> None:
    process = start(_STARTS, stdout=subprocess.PIPE)
    started = [*map(int, process.stdout.readline().split())]
    os.kill(
        {"the command": process.pid, "what watches": started[-1], "the program": started[-2]}[
            killed
        ],
        signal.SIGKILL,
    )
    assert process.wait() == -signal.SIGKILL
    nodes.wait_for(lambda: not any(map(nodes.is_alive, started)), seconds=20)


_WAITS = (
    "import time\ndef main():\n stop = command_line.stop_on_signals(patience_seconds={patience})\n print('started', flush=True)\n"
    " {wait}\n print('stopped')\n return command_line.INTERRUPTED"
)


def start(body: str, *before: str, **streams) -> subprocess.Popen[str]:
    script = (
        f"from environments import command_line\n{body}\ncommand_line.run(main, 'What it does.')\n"
    )
    return subprocess.Popen(
        [*before, sys.executable, "-c", script], cwd=ROOT, env=ENVIRONMENT, text=True, **streams
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_stop_a_command_in_order(number: int) -> None:
    process = start(_WAITS.format(patience=13, wait="stop.wait()"), stdout=subprocess.PIPE)
    assert process.stdout.readline() == "started\n"
    process.send_signal(number)
    assert process.communicate()[0] == "stopped\n"
    assert process.returncode == 130


def test_a_signal_that_comes_while_the_program_looks_for_one_stops_it_all_the_same() -> None:
    looks = "with stop._cond: os.kill(os.getpid(), signal.SIGINT); time.sleep(0.1)"  # As it does for a moment within wait().
    shown = run("import os, signal\n" + _WAITS.format(patience=13, wait=f"{looks}\n stop.wait()"))
    assert (shown.returncode, shown.stdout) == (130, "started\nstopped\n")


def test_what_waits_for_something_else_is_ended_by_a_signal_all_the_same() -> None:
    process = start(
        _WAITS.format(patience=0.2, wait="time.sleep(1000)"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.communicate()[1] == "This program did not stop within 0.2 s: ending it.\n"
    assert process.returncode == 130


def test_code_that_never_gives_back_pythons_lock_is_ended_by_a_signal_all_the_same() -> None:
    holds = "import re; re.match('(a+)+b', 'a' * 100)"
    process = start(
        f"command_line.processes._PATIENCE_SECONDS = 0.3\n{_WAITS.format(patience=0.1, wait=holds)}",
        stdout=subprocess.PIPE,
    )
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[0] == ""
    assert process.returncode == 130


def test_a_command_that_was_started_with_nohup_goes_on_when_its_terminal_is_closed() -> None:
    patience = "command_line.processes._PATIENCE_SECONDS = 0.3\n"
    process = start(
        patience + _WAITS.format(patience=13, wait="stop.wait()"),
        "nohup",
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.7)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 130


@pytest.mark.parametrize(
    "body",
    ["def main():\n for _ in range(10**6): print('x' * 80)\n return 0", "def main(): return 0"],
)
@pytest.mark.parametrize("flags", [[], ["--help"]])
def test_a_closed_pipe_ends_a_command_quietly(body: str, flags: list[str]) -> None:
    script = f"from environments import command_line\n{body}\ncommand_line.run(main, 'What it does.' + 'x' * 10**6)\n"
    process = subprocess.Popen(
        [sys.executable, "-c", script, *flags],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == (130 if "print" in body and not flags else 0)


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("environments.conformance tiny_distribution:Line", 0),
        ("environments.render --help", 0),
        ("results.report --run_dir=absent", 2),
    ],
)
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_no_hindrance(
    program: str, code: int, closed: str, tmp_path
) -> None:
    command = f"{sys.executable} -m {program} {closed}"
    shown = subprocess.run(
        ["sh", "-c", command],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == code, shown.stderr
    assert "Traceback" not in shown.stderr


def test_a_copy_of_a_command_that_a_users_code_forked_does_not_go_on_beside_it() -> None:
    body = (
        "import os, sys\n"
        "def main():\n"
        " stop = command_line.stop_on_signals()\n"
        " child = os.fork()\n"
        " stopped = stop.is_set()\n"
        " print('goes on', child > 0, stopped, flush=True)\n"
        " return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])"
    )
    shown = run(body)
    assert (shown.returncode, shown.stdout) == (1, "goes on True False\n")

"""Shared behaviour of commands: exit codes, one-line errors, signals, late TensorFlow imports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import nodes
import psutil
import pytest
from program import ENVIRONMENT, ROOT, python

_LOOP = """
def main():
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def power(base):
        grow = lambda index, value: (index + 1, value * base)
        return tf.while_loop(lambda index, _: index < 3, grow, (0, 1.0))[1]

    print(f"{power(tf.constant(2.0)).numpy():g}")
    return 0
"""


def command(body: str) -> str:
    return (
        f"from environments import command_line, signals\n{body}\n"
        "command_line.run(main, 'What it does.')\n"
    )


def run(body: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return python("-c", command(body), *flags, timeout=60)


def test_functions_that_commands_compile_may_contain_loops() -> None:
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
        ("import sys\ndef main(): sys.exit(0)", 1, "error: user code called sys.exit(0)\n"),
        ("import os\ndef main(): os._exit(0)", 1, "error: user code called os._exit(0)\n"),
        (
            "def main(): raise ValueError('x' * 10**6)",
            2,
            "error: " + "x" * 2000 + "... (1000000 characters)\n",
        ),
    ],
)
def test_a_command_reports_its_end_by_exit_code_and_one_line(
    body: str, code: int, message: str
) -> None:
    shown = run(body)
    assert (shown.returncode, shown.stderr) == (code, message)


def test_an_error_of_the_program_itself_keeps_its_traceback() -> None:
    shown = run("def main(): raise TypeError('a bug')")
    assert shown.returncode == 1
    assert "Traceback" in shown.stderr


def test_a_command_ends_even_if_a_thread_does_not() -> None:
    shown = run(
        "import threading, time\n"
        "def main():\n"
        " threading.Thread(target=time.sleep, args=(1000,), name='slow').start()\n"
        " return 3"
    )
    assert (shown.returncode, shown.stderr) == (3, "Threads still running at exit: slow.\n")


def test_all_descendants_of_a_command_end_with_it() -> None:
    body = (
        "import subprocess\n"
        "def main():\n"
        " start = ['sh', '-c', 'setsid sleep 1000 & echo $!']\n"
        " child = subprocess.Popen(start, stdout=subprocess.PIPE, text=True)\n"
        " print(child.stdout.readline(), flush=True)\n child.wait()\n return 0"
    )
    pid = int(run(body).stdout)
    assert not psutil.pid_exists(pid)


_STARTS = (
    "import os, signal, subprocess, time\n"
    "def main():\n"
    " signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    " pid = os.fork() or time.sleep(1000)\n"
    " child = subprocess.Popen(['setsid', 'sleep', '1000']).pid\n"
    " print(pid, child, os.getpid(), os.getppid(), flush=True)\n"
    " time.sleep(1000)"
)


@pytest.mark.parametrize("killed", ["the command", "the watcher", "the program"])
def test_all_descendants_of_a_killed_command_end_with_it(killed: str) -> None:
    process = start(_STARTS, stdout=subprocess.PIPE)
    started = [*map(int, process.stdout.readline().split())]
    pids = {"the command": process.pid, "the watcher": started[-1], "the program": started[-2]}
    os.kill(pids[killed], signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    nodes.wait_for(lambda: not any(map(nodes.is_alive, started)), seconds=20)


_WAITS = (
    "import time\ndef main():\n"
    " stop = signals.stop_on_signals(patience_seconds={patience})\n"
    " print('started', flush=True)\n"
    " {wait}\n print('stopped')\n return signals.INTERRUPTED"
)


def start(body: str, *before: str, **streams) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*before, sys.executable, "-c", command(body)],
        cwd=ROOT,
        env=ENVIRONMENT,
        text=True,
        **streams,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_stop_a_command_cleanly(number: int) -> None:
    process = start(_WAITS.format(patience=13, wait="stop.wait()"), stdout=subprocess.PIPE)
    assert process.stdout.readline() == "started\n"
    process.send_signal(number)
    assert process.communicate()[0] == "stopped\n"
    assert process.returncode == 130


def test_a_signal_stops_a_program_even_while_it_holds_the_events_lock() -> None:
    # wait() holds this lock for a moment, too.
    holds = "with stop._cond: os.kill(os.getpid(), signal.SIGINT); time.sleep(0.1)"
    shown = run("import os, signal\n" + _WAITS.format(patience=13, wait=f"{holds}\n stop.wait()"))
    assert (shown.returncode, shown.stdout) == (130, "started\nstopped\n")


def test_a_signal_ends_a_program_that_waits_for_something_else() -> None:
    process = start(
        _WAITS.format(patience=0.2, wait="time.sleep(1000)"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.communicate()[1] == "The program did not stop within 0.2 s: ending it.\n"
    assert process.returncode == 130


def test_a_signal_ends_code_that_never_releases_pythons_lock() -> None:
    holds = "import re; re.match('(a+)+b', 'a' * 100)"
    patience = "command_line.processes._PATIENCE_SECONDS = 0.3\n"
    process = start(
        patience + _WAITS.format(patience=0.1, wait=holds),
        stdout=subprocess.PIPE,
    )
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[0] == ""
    assert process.returncode == 130


def test_a_command_started_with_nohup_continues_when_its_terminal_closes() -> None:
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
    script = (
        f"from environments import command_line, signals\n{body}\n"
        "command_line.run(main, 'What it does.' + 'x' * 10**6)\n"
    )
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
def test_commands_work_with_closed_standard_streams(
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


def test_a_copy_of_a_command_that_user_code_forked_ends() -> None:
    body = (
        "import os, sys\n"
        "def main():\n"
        " stop = signals.stop_on_signals()\n"
        " child = os.fork()\n"
        " stopped = stop.is_set()\n"
        " print('goes on', child > 0, stopped, flush=True)\n"
        " return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])"
    )
    shown = run(body)
    assert (shown.returncode, shown.stdout) == (1, "goes on True False\n")

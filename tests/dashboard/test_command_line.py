from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest


def command(*flags: str) -> subprocess.Popen[str]:
    """Starts the dashboard as a terminal would: a background job that runs the tests may have left Ctrl-C ignored."""
    return subprocess.Popen(
        [sys.executable, "-m", "dashboard", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def test_the_command_serves_the_page_until_it_is_interrupted(run_dir):
    process = command(f"--run_dir={run_dir}", "--port=0")
    try:
        line = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/", line).group()
        assert line.startswith("Dashboard of run: ")
        assert b"_dash-config" in urllib.request.urlopen(address, timeout=60).read()
    finally:
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (130, "", "")


def test_another_address_is_warned_of(run_dir):
    process = command(f"--run_dir={run_dir}", "--port=0", "--host=0.0.0.0")
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (
        errors
        == "Warning: everyone who can reach 0.0.0.0 sees these runs; nobody is asked for a password.\n"
    )


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "say which run to show"),
        (["--run_dir={run_dir}", "extra"], "say which run to show"),
        (["--run_dir={run_dir}/nowhere"], "there is no folder"),
        (["--run_dir={run_dir}", "--port=70000"], "70000"),
        (["--run_dir={run_dir}", "--port=x"], "'x'"),
        (["--run_dir={run_dir}", "--host=256.1.1.1"], "256.1.1.1"),
        (["--run_dir={run_dir}", "--port={taken}"], "Address already in use"),
    ],
)
def test_wrong_flags_are_one_line_and_exit_code_2(run_dir, flags, words):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        values = {"run_dir": run_dir, "taken": taken.getsockname()[1]}
        process = command(*(flag.format(**values) for flag in flags))
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors.count("\n")) == (2, "", 1)
    assert words in errors

"""Serves the live page of runs: `python -m dashboard --run_dir=runs/NAME [--port=8050]`.

Repeat --run_dir to compare runs. Runs may be finished, under way or not yet started. Exit codes: 1
failed while serving, 2 wrong input, 130 ended by Ctrl-C.
"""

from __future__ import annotations

import contextlib
import logging
import pathlib
import socket
import sys
import threading
from collections.abc import Sequence

from absl import flags

from dashboard.proxy import parts
from results.command_line import INTERRUPTED, USAGE_ERROR, Path, Text, fail
from results.command_line import run as run_program

_PROGRAM = "dashboard"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _main(argv: Sequence[str]) -> int:
    values = flags.FLAGS
    if not values.run_dir or len(argv) > 1:
        return fail(
            _PROGRAM,
            "say which run to show: python -m dashboard --run_dir=runs/NAME [--run_dir=runs/OTHER]",
            USAGE_ERROR,
        )
    paths = [pathlib.Path(path) for path in values.run_dir]
    for path in paths:
        if not path.is_dir():
            return fail(
                _PROGRAM,
                f"there is no folder {path}: pass --run_dir=runs/NAME of a run that was started",
                USAGE_ERROR,
            )
    try:
        listener = socket.create_server(
            (values.host, values.port),
            family=socket.AF_INET6 if ":" in values.host else socket.AF_INET,
        )
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]
        return fail(
            _PROGRAM,
            f"cannot listen on {values.host} port {values.port} ({reason}): choose another --port",
            USAGE_ERROR,
        )
    if values.host not in _LOOPBACK:
        print(
            f"Warning: everyone who can reach {values.host} sees these runs; nobody is asked for a "
            "password.",
            file=sys.stderr,
        )
    with contextlib.suppress(KeyboardInterrupt):
        _serve(listener, paths, loopback=values.host in _LOOPBACK, url=values.url)
    return INTERRUPTED


def _serve(
    listener: socket.socket, paths: Sequence[pathlib.Path], *, loopback: bool, url: str | None
) -> None:
    # Imported late: it takes a second, which a wrong flag need not wait for.
    from werkzeug.serving import make_server

    from dashboard.live_run import named_runs
    from dashboard.server import Dashboard

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    runs = named_runs(paths)
    host, port = listener.getsockname()[:2]
    dashboard = Dashboard(runs, loopback=loopback, url=url)
    server = make_server(host, port, dashboard.flask, threaded=True, fd=listener.fileno())
    # Read the runs while the browser opens the page.
    threading.Thread(target=dashboard.poll, daemon=True).start()
    print(
        f"Dashboard of {', '.join(run.name for run in runs)}: "
        f"http://{f'[{host}]' if ':' in host else host}:{port}/ (Ctrl-C ends it)",
        flush=True,
    )
    server.serve_forever()


class _Address(Text):
    """Parses the address of a page."""

    syntactic_help = "an address such as https://desk.example/iwpa/"

    def parse(self, argument: str) -> str:
        parts(argument)
        return argument


def define_flags() -> None:
    """Defines the program's flags."""
    text = "A run directory, runs/NAME; repeat it to compare runs."
    flags.DEFINE_multi(Path(), flags.ArgumentSerializer(), "run_dir", [], text)
    flags.DEFINE_integer(
        "port", 8050, "Port of the page; 0 for any that is free.", lower_bound=0, upper_bound=65535
    )
    text = "Address to listen on. Any but this machine's own shows the runs to all who reach it."
    flags.DEFINE(Text(), "host", "127.0.0.1", text)
    text = (
        "Address at which a proxy shows the page, such as https://desk.example/iwpa/: requests to "
        "its host name are answered, too."
    )
    flags.DEFINE(_Address(), "url", None, text)


if __name__ == "__main__":
    define_flags()
    run_program(_PROGRAM, _main)

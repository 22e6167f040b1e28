"""A node's process: Launchpad's entry point, with an exit code for unrecoverable failures.

It imports TensorFlow before absl's `app.run`. Within `app.run`, TensorFlow 2.8 creates its context
during its own import, before it enables eager execution (`call_after_init` in
`tensorflow/python/distribute/combinations.py`); compiled functions then cannot find the functions
of their loops.
"""

from __future__ import annotations

import atexit
import errno
import json
import os
import pathlib
import runpy
import sys
import traceback

import tensorflow  # noqa: F401
from launchpad.nodes.python import local_multi_processing

from launch.runtime.host_daemon import ADDRESSES, NODE_DIRECTORY
from launch.runtime.supervise import UNRECOVERABLE, UnrecoverableError

_NO_PROXY = "no_grpc_proxy"  # gRPC prefers it to no_proxy.


def main() -> int:
    """Runs the node; returns its exit code, which marks failures that would recur."""
    entry = pathlib.Path(local_multi_processing.__file__).with_name("process_entry.py")
    _bypass_proxies()
    try:
        runpy.run_path(str(entry), run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, flush=True)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except UnrecoverableError as error:
        print(f"error: {error}", flush=True)
        return UNRECOVERABLE
    except BaseException as error:
        traceback.print_exc()
        # The errors of Reverb and safetensors contain the system's message, but no errno.
        return UNRECOVERABLE if os.strerror(errno.ENOSPC) in str(error) else 1
    return 0


def _bypass_proxies() -> None:
    """Makes gRPC bypass any configured proxy for the program's own nodes."""
    table = json.loads((pathlib.Path(os.environ[NODE_DIRECTORY]) / ADDRESSES).read_text())
    hosts = {address.rpartition(":")[0].strip("[]") for address in table.values()}
    excluded = os.environ.get(_NO_PROXY) or os.environ.get(_NO_PROXY.replace("grpc_", "")) or ""
    os.environ[_NO_PROXY] = ",".join([*filter(None, [excluded]), *sorted(hosts)])


if __name__ == "__main__":
    code = main()
    # This closes the environments, but does not wait for threads that the node's code left behind.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

"""A node's process: Launchpad's own entry point, with TensorFlow imported before absl's `app.run`, and an exit code for what is final.

Within `app.run`, TensorFlow 2.8 creates its context during its own import, before it turns eager execution on (`call_after_init` in
`tensorflow/python/distribute/combinations.py`); compiled functions then cannot find the functions of their loops.
"""

from __future__ import annotations

import errno
import os
import pathlib
import runpy
import sys
import traceback

import tensorflow  # noqa: F401
from launchpad.nodes.python import local_multi_processing

from launch.supervise import UNRECOVERABLE, UnrecoverableError


def main() -> None:
    """Runs the node; its exit code tells of what would fail again, such as a full disk."""
    entry = pathlib.Path(local_multi_processing.__file__).with_name("process_entry.py")
    try:
        runpy.run_path(str(entry), run_name="__main__")
    except UnrecoverableError as error:
        print(f"error: {error}", flush=True)
        sys.exit(UNRECOVERABLE)
    except Exception as error:
        # The errors of Reverb and safetensors bring the system's words, not its number.
        if os.strerror(errno.ENOSPC) not in str(error):
            raise
        traceback.print_exc()
        sys.exit(UNRECOVERABLE)


if __name__ == "__main__":
    main()

"""Trains on many tasks on this machine, then adapts to held-out tasks and reports.

    python -m launch.local_multiprocess --environment=sparse_navigation --run_dir=runs/demo

Each node is a process, and one that dies is restarted. Ctrl-C stops cleanly and keeps everything.
The same command resumes a stopped run; on a finished run it prints the table again.
"""

from __future__ import annotations

from absl import flags

from environments import command_line
from launch import training_flags
from launch.experiment import run_experiment


def main() -> int:
    """Runs whichever of the three stages are not complete; returns the exit code."""
    return run_experiment(training_flags.settings_from_flags(), command_line.required("run_dir"))


if __name__ == "__main__":
    training_flags.define_flags()
    flags.adopt_module_key_flags(training_flags)
    command_line.run(main, __doc__)

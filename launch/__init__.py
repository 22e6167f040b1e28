"""The commands, the multi-process training program, and a run's stages as functions.

    from launch import default_settings, evaluate, report, train

    settings = default_settings("sparse_navigation", minutes=10)
    train(settings, "runs/mine")
    evaluate("runs/mine", methods=["prior", "shared_q_iw"])
    print(report("runs/mine"))

Importing this package loads none of them: each is imported on first use.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

from results import interrupts

if TYPE_CHECKING:
    from launch.settings import default_settings
    from launch.stages.evaluate import evaluate
    from launch.stages.training import train
    from results.report import report

__all__ = ["default_settings", "evaluate", "report", "train"]

interrupts.end_quietly()

# Read when numpy is first imported. Our matrix products are small, so OpenBLAS's threads cost more
# than they gain, and each node has one core.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

_HOMES = {
    "default_settings": "launch.settings",
    "evaluate": "launch.stages.evaluate",
    "report": "results.report",
    "train": "launch.stages.training",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

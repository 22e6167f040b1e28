"""Environment variables that TensorFlow reads when it is imported."""

from __future__ import annotations

import os

# Optimised compilation of a learner's step takes three times as long and only pays in long runs.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)
# Without this, dm_control warns that there is no display.
os.environ.setdefault("MUJOCO_GL", "disable")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

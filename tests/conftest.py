"""Settings that TensorFlow reads when it is imported."""

from __future__ import annotations

import os

# Compiling a learner's step well takes three times as long as badly, and pays only in long runs.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)
# dm_control would warn that there is no display.
os.environ.setdefault("MUJOCO_GL", "disable")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

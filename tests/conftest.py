"""Settings that TensorFlow reads when it is imported."""

from __future__ import annotations

import os

# Compiling a learner's step takes seconds; what these passes gain is nothing to networks of a few units.
# dm_control would warn that there is no display.
os.environ.setdefault("MUJOCO_GL", "disable")
os.environ.setdefault("XLA_FLAGS", "--xla_llvm_disable_expensive_passes=true")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

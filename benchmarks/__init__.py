"""Speed: against Acme, against the bare simulator and bare arithmetic, and of many replicas against one. See docs/benchmarks.md."""

import os

# Both sides of every comparison compute on one thread. These are read when numpy and TensorFlow
# load, so they stand before any import.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Nothing is drawn; dm_control would look for a display.
os.environ.setdefault("MUJOCO_GL", "disable")

"""Speed benchmarks, against Acme, bare simulators and bare arithmetic. See docs/benchmarks.md."""

import os

# Both sides of every comparison compute on one thread. NumPy and TensorFlow read these variables
# when they load, so they are set before any import.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Nothing is drawn; without this, dm_control would look for a display.
os.environ.setdefault("MUJOCO_GL", "disable")

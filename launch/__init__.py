"""The program of processes, its nodes, and the commands that people run."""

import os

# Read when numpy is first imported. Our products are small: OpenBLAS's threads cost more than they give, and each node has one core.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

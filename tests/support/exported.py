"""Checks that exported graphs act in onnxruntime as they do in numpy.

Where both are installed: `python tests/support/exported.py`.
"""

from __future__ import annotations

import pathlib
import sys
import tempfile

import numpy as np
import onnxruntime

import iwpa

TOLERANCE = 1e-5
CASES = [
    (name, method)
    for name in ("half_cheetah_velocity", "go_to_ring", "sparse_navigation")
    for method in iwpa.METHODS.served_by_snapshot(iwpa.load(name).snapshot)
]
LEARNED, COMPARED = 60, 40
# This near to a boundary between two proposals, rounding decides which one is chosen.
MARGIN = 1e-4


def difference(name: str, method: str, folder: pathlib.Path) -> float:
    """Returns the largest difference of the graph's actions from numpy's, after some learning."""
    agent, stream = iwpa.load(name).adapter(method=method, seed=4), np.random.default_rng(1)
    size = agent.snapshot.spec.observation_size
    agent.reset(stream.normal(size=size))
    for _ in range(LEARNED):
        observation = stream.normal(size=size)
        agent.step(-abs(observation[0]), observation)
    agent.step(0.0, stream.normal(size=size), truncated=True)
    path = folder / f"{name}-{method}.onnx"
    agent.reset(stream.normal(size=size))
    agent.export_onnx(path)
    session, worst = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]), 0.0
    adapting, everyone = agent._engine.method, np.ones(1, bool)
    proposals = adapting._proposals
    compared = 0
    while compared < COMPARED:
        observation = stream.normal(size=size).astype(np.float32)
        noise, uniform = proposals._noise[0, 0], proposals._uniforms[0]
        noise[:], drawn = stream.normal(size=noise.shape), np.float32(stream.random())
        proposals.propose(agent._exchange.observation(observation), 0, everyone)
        given = {
            "observation": observation[None],
            "noise": noise,
            "uniform": np.array([drawn]),
        }
        acted = []
        for shift in (-MARGIN, MARGIN, 0.0):
            uniform[0] = drawn + shift
            acted.append(agent._act())
        if np.ptp(acted, axis=0).any():
            continue
        worst = max(worst, float(np.abs(session.run(None, given)[0][0] - acted[-1]).max()))
        compared += 1
    return worst


def main() -> int:
    """Compares all graphs; returns the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        found = {case: difference(*case, pathlib.Path(folder)) for case in CASES}
    worst = max(found, key=lambda case: found[case])
    print(
        f"onnxruntime {onnxruntime.__version__}: {len(found)} graphs act as numpy does within "
        f"{found[worst]:.1e} (at most {TOLERANCE:g})"
    )
    return int(not found[worst] <= TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())

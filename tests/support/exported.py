"""Whether exported graphs do in onnxruntime what numpy does: `python tests/support/exported.py`, where both are installed."""

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


def difference(name: str, method: str, folder: pathlib.Path) -> float:
    """Returns how far actions of the graph are from numpy's, at most, after some learning."""
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
    for _ in range(COMPARED):
        observation = stream.normal(size=size).astype(np.float32)
        noise, uniform = proposals._noise[0, 0], proposals._uniforms[0]
        noise[:], uniform[0] = stream.normal(size=noise.shape), np.float32(stream.random())
        proposals.propose(agent._exchange.observation(observation), 0, everyone)
        given = {
            "observation": observation[None],
            "noise": noise,
            "uniform": uniform[:1].astype(np.float32),
        }
        worst = max(worst, float(np.abs(session.run(None, given)[0][0] - agent._act()).max()))
    return worst


def main() -> int:
    """Compares all."""
    with tempfile.TemporaryDirectory() as folder:
        found = {case: difference(*case, pathlib.Path(folder)) for case in CASES}
    worst = max(found, key=lambda case: found[case])
    print(
        f"onnxruntime {onnxruntime.__version__}: {len(found)} graphs act as numpy does within {found[worst]:.1e} (at most {TOLERANCE:g})"
    )
    return int(not found[worst] <= TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())

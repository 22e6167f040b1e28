from __future__ import annotations

from program import python

_ONE_EPISODE_OF_EACH = """
import environments
from agents.adaptation.methods import METHODS, NAMES, default_adaptation
from iwpa.randomness import Replica
from benchmarks import adaptation

distribution = environments.load("sparse_navigation")
for name in NAMES:
    snapshot = adaptation._random_snapshot(distribution, METHODS.kinds[name].agent)
    quick = {"updates_per_episode": 1, "update_period": 20}
    replicas = [Replica("test", distribution.tasks("test")[0], 0)]
    adaptation._adaptation(distribution, snapshot, name, replicas, 1, **quick)()
for name in adaptation._IMPORTANCE_WEIGHTED:
    for samples in adaptation._ACTION_SAMPLES:
        adaptation.with_values(default_adaptation(name, 1), {"action_samples": samples})
print("measured", *NAMES)
"""


def test_the_benchmark_of_adaptation_can_run_every_method_and_every_k():
    run = python("-c", _ONE_EPISODE_OF_EACH)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("measured prior")

from __future__ import annotations

import pytest

from agents.learning import Learner
from agents.snapshots import read_snapshot, write_snapshot
from launch import evaluation
from launch.run_directory import prepare
from launch.settings import default_settings
from results.store import read_records


@pytest.mark.parametrize("method", ["prior", "shared_q_iw_ls"])
def test_groups_that_fit_into_memory_give_the_same_as_all_at_once(tmp_path, monkeypatch, method):
    settings = default_settings("tiny_distribution:Line")
    distribution = settings.distribution()
    spec = settings.network_spec(distribution)
    weights = Learner(spec, settings.config, 0).get_variables(["all"])[0]
    assignment = evaluation.Assignment(method, "test", evaluation.default_adaptation(method, 6))
    seen = {}
    for name, limit in (("whole", 2**31), ("cut", 30_000)):
        monkeypatch.setattr(evaluation, "_MEMORY_BYTES", limit)
        run = prepare(str(tmp_path / name), settings)
        write_snapshot(run.snapshots, 7, spec, settings.config, weights)
        sizes = []
        finished = evaluation.evaluate(
            run, settings, assignment, read_snapshot(run.snapshots / "7"), node="evaluate",
            should_stop=lambda: False, on_episode=lambda episode, records, sizes=sizes: sizes.append(len(records)),
        )  # fmt: skip
        assert finished
        assert set(sizes) == ({6} if name == "whole" else {1})
        records = read_records(run.path, "adaptation")
        seen[name] = {(record["task"], record["seed"], record["episode"]): record["return"] for record in records}
        assert len(records) == len(seen[name]) == 6 * 6
    assert seen["cut"] == pytest.approx(seen["whole"], abs=1e-5)

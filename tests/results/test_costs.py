from __future__ import annotations

from results import costs, store


def test_training_costs_what_every_process_had_used_at_its_last_sign_of_life(tmp_path):
    others = {"memory_mib": 300.0, "counters": {}}
    with store.RecordWriter(tmp_path, "heartbeats", "learner") as writer:
        for pid, cpu_seconds in ((1, 5.0), (1, 9.0), (2, 3.0)):  # restarted in between
            writer.append(
                {
                    "node": "learner",
                    "host": "here",
                    "pid": pid,
                    "cpu_seconds": cpu_seconds,
                    **others,
                }
            )
        writer.append({"node": "actor-0", "host": "there", "pid": 1, "cpu_seconds": 0.5, **others})
    assert costs.training_cpu_seconds(tmp_path) == 9.0 + 3.0 + 0.5


def test_a_method_costs_what_all_adaptations_with_its_newest_config_did(tmp_path):
    with store.RecordWriter(tmp_path, "events", "evaluate") as writer:
        writer.append({"event": "snapshot_selected", "snapshot": 7, "score": 1.0})
        for split, snapshot, method, config, seconds in (
            ("test", 7, "iw", "old", 3.0),
            ("test", 7, "iw", "new", 4.0),
            ("test", 7, "iw", "new", 0.5),  # more seeds
            ("test", 7, "prior", "new", 1.0),
            ("test", 8, "iw", "new", 9.0),
            ("validation", 7, "iw", "new", 9.0),
        ):
            writer.append(
                {
                    "event": costs.ADAPTED,
                    "split": split,
                    "snapshot": snapshot,
                    "method": method,
                    "configuration": config,
                    "cpu_seconds": seconds,
                }
            )
    events = store.read_records(tmp_path, "events")
    assert costs.adaptation_cpu_seconds(events, "test", 7) == {"iw": 4.5, "prior": 1.0}

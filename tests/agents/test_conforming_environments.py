"""What passes the conformance check can be trained on.

Actors step it without a fault, and what they wrote gives a learner step that is not skipped.
"""

from __future__ import annotations

from families import Family, Member, members
from hypothesis import HealthCheck, given, settings

from environments import EnvironmentBatch
from environments.examination import check


# All examples may share the learner: each makes one step.
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(member=members)
def test_a_generated_distribution_that_conforms_trains(act, learner, member: Member) -> None:
    assert check(Family(member), quick=True) == []
    batch = EnvironmentBatch(Family(member), 4)
    recorder, _ = act("multitask", learner.get_variables(["all"])[0], 12, batch)
    assert [batch.fault(row) for row in range(4)] == [None] * 4
    assert len(recorder.items) >= 4
    skipped = learner.skipped
    learner.step(recorder.batch([index % len(recorder.items) for index in range(32)]))
    assert learner.skipped == skipped

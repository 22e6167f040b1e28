from __future__ import annotations

import pytest

from iwpa.engine import EpisodeRecord
from iwpa.randomness import Replica
from iwpa.task import Task
from launch.stages.progress import Progress


def episode(number: int, *found: bool) -> list[EpisodeRecord]:
    """Returns the records of replicas whose k-th returns 10 k."""
    return [
        EpisodeRecord(
            replica=Replica("test", Task(row, ()), 0),
            episode=number,
            episode_return=10.0 * row,
            length=5,
            found=is_found,
            temperature=None,
            kl=None,
            td_error=None,
            fault=None,
            failed_starts=0,
        )
        for row, is_found in enumerate(found)
    ]


@pytest.mark.parametrize(("first", "said"), [((True, False), True), ((True, True), False)])
def test_the_share_that_found_reward_is_left_out_if_all_did_in_the_first_episode(
    capsys, first, said
):
    progress = Progress("test 1 of 1, prior", 2)
    progress(1, episode(1, *first))
    progress(2, episode(2, True, True))
    shown = capsys.readouterr().out
    assert shown.startswith("test 1 of 1, prior (2 runs): episode 2/2, mean return 5.00, ")
    assert ("found reward 100%, " in shown) == said

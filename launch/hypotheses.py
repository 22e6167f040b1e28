"""Draws how `shared_q_iw_hypotheses` narrows down on one held-out task, without training.

    python -m launch.hypotheses --pretrained=sparse_navigation --task=0 --out=hypotheses

adapts to the task from a shipped snapshot up to the episode after the first find, as
`launch.evaluate` does with the first seed (except for rounding), and writes OUT.png: where the
hypotheses lie, their probabilities and the body's path, at first and after up to four episodes.
"""

from __future__ import annotations

import pathlib

import numpy as np
from absl import flags

import iwpa
from environments import StepBatch, TaskDistribution, command_line
from environments.arrays import Array
from environments.command_line import SEED, TEXT
from environments.traced import TracedBatch
from iwpa.engine import EpisodeRecord
from iwpa.fields import Allowed
from iwpa.imagined_tasks import with_imagined_tasks
from iwpa.method import Method
from iwpa.methods.critics import LinearCritic
from iwpa.methods.hypotheses import HypothesisWeighting
from iwpa.methods.hypothesis_head import HypothesisHead
from iwpa.snapshots import Snapshot
from launch.evaluation import Assignment, adapt_from, method_for
from launch.run import Run
from launch.run_directory import open_run
from launch.stages import pretrained
from results import hypotheses

_METHOD = "shared_q_iw_hypotheses"
_LARGEST_ERROR = 1e-3  # of a coordinate, as a share of its range


class _Watched(TracedBatch):
    """One environment, and what its replica believed while it was stepped.

    Attributes:
        posteriors: The tasks' probabilities at the start of each episode, `[N]`.
        followed: Indices of the tasks that each episode followed, one for each step.
    """

    def __init__(self, distribution: TaskDistribution, seed: int, head: HypothesisHead):
        super().__init__(distribution, 1, seed)
        self.posteriors: list[Array] = []
        self.followed: list[list[int]] = []
        self._head = head

    def step(self, actions: Array, active: Array | None = None) -> StepBatch:
        if len(self.posteriors) < len(self.paths[0]):
            self.posteriors.append(self._head.posterior[0].copy())
            self.followed.append([])
        self.followed[-1].append(int(self._head.followed[0]))
        return super().step(actions, active)


def draw(name: str, split: str, task: int) -> hypotheses.HypothesisFigure:
    """Adapts one replica and returns its figure.

    Args:
        name: Name of the pretrained run.
        split: `validation` or `test`.
        task: Index of the task in its split.

    Raises:
        ValueError: If the task does not exist, the snapshot does not serve the method, or its tasks
            do not lie in a plane in which the environment traces the body.
    """
    directory, settings = open_run(str(pretrained.FOLDER / name))
    run, snapshot = Run(directory, settings, settings.distribution()), iwpa.load(name).snapshot
    distribution, episodes = run.distribution, settings.config.adaptation_episodes
    if len(distribution.coordinate_names) != 2 or distribution.traced is None:
        told = " and ".join(distribution.coordinate_names) or "nothing"
        raise ValueError(
            f"--pretrained={name} cannot be drawn: {told} tells where its tasks lie, and the "
            "picture needs two coordinates, in which the body is traced. Choose "
            "sparse_navigation, go_to_ring, move_box or reach."
        )
    config = settings.adaptation_config(_METHOD, episodes)
    assignment = Assignment(_METHOD, split, config, seeds=1, tasks=(task,))
    (replica,) = assignment.replicas(distribution)
    method = method_for(run, snapshot, assignment, [replica])
    watched = _Watched(distribution, settings.seed, _head(method))
    records: list[EpisodeRecord] = []
    for (record,) in adapt_from(run, snapshot, method, watched, [replica], episodes, lambda: False):
        records.append(record)
        # What is believed after an episode is seen, with what is followed, at the next one's start.
        if len(records) > 2 and records[-3].found:
            break
    return hypotheses.HypothesisFigure(
        distribution.coordinate_names,
        task_coordinates(distribution, snapshot)[_head(method).tasks],
        distribution.coordinates(replica.task),
        tuple(_panel(watched, records, episode) for episode in _shown(len(records) - 1)),
    )


def _head(method: Method) -> HypothesisHead:
    assert isinstance(method, HypothesisWeighting)
    assert isinstance(method.critic, LinearCritic)
    assert isinstance(method.critic.head, HypothesisHead)
    return method.critic.head


def task_coordinates(distribution: TaskDistribution, snapshot: Snapshot) -> Array:
    """Returns the coordinates of the training tasks and then of imagined ones, if any, `[N, 2]`.

    Raises:
        ValueError: If descriptions of tasks do not tell where they lie.
    """
    known = np.array([distribution.coordinates(task) for task in distribution.tasks("train")])
    described = with_imagined_tasks(snapshot).weights["embedding"].astype(np.float64)
    if len(described) == len(known):
        return known
    # Networks see descriptions standardised: coordinates, if told, are linear in what they see.
    described = np.column_stack([described, np.ones(len(described))])
    linear = np.linalg.lstsq(described[: len(known)], known, rcond=None)[0]
    drawn: Array = described @ linear
    if np.abs(drawn[: len(known)] - known).max() > _LARGEST_ERROR * np.ptp(known):
        raise ValueError(
            f"Imagined tasks of {distribution.name} cannot be drawn: descriptions of tasks do not "
            f"tell their {', '.join(distribution.coordinate_names)}."
        )
    return drawn


def _shown(last: int) -> list[int]:
    """Returns after which episodes there is a panel, 0 for before the first."""
    return sorted({episode for episode in (0, 1, last - 2, last - 1, last) if episode >= 0})


def _panel(watched: _Watched, records: list[EpisodeRecord], episode: int) -> hypotheses.Panel:
    if not episode:
        return hypotheses.Panel(
            0, None, watched.posteriors[0], watched.followed[0][0], (), path=None
        )
    before = episode - 1
    return hypotheses.Panel(
        episode,
        records[before].episode_return,
        watched.posteriors[episode],
        watched.followed[episode][0],
        watched.followed[before],
        np.array(watched.paths[0][before], np.float64),
    )


def main() -> int:
    """Adapts to the task that the flags name and draws the picture; returns the exit code."""
    values = flags.FLAGS
    out = pathlib.Path(command_line.required("out")).absolute().with_suffix(".png")
    figure = draw(command_line.required("pretrained"), values.split, values.task)
    out.parent.mkdir(parents=True, exist_ok=True)
    hypotheses.save(figure, out)
    counts = ", ".join(f"{panel.likely} after {panel.episode}" for panel in figure.panels)
    print(f"{out}: likely hypotheses by episodes: {counts}")
    return 0


def define_flags() -> None:
    """Defines the command's flags."""
    define = command_line.define
    text = "The trained run that ships with the sources to adapt from."
    define("pretrained", None, text, Allowed(str, choices=tuple(pretrained.names())))
    define("split", "test", "Split of the task.", Allowed(str, choices=("validation", "test")))
    define("task", 0, "Index of the task in its split.", SEED)
    define("out", None, "Path of the picture, without its suffix .png.", TEXT)


if __name__ == "__main__":
    define_flags()
    command_line.run(main, __doc__)

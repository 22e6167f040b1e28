"""Task distributions: tasks that an agent trains on and held-out tasks that it adapts to."""

from environments.arrays import Array
from environments.batch import EnvironmentBatch, StepBatch
from environments.distribution import ObservationGroups, TaskDistribution, TaskEnvironment
from environments.guards import EnvironmentFailure
from environments.layout import ObservationLayout
from environments.registry import UnknownEnvironmentError, load, names
from environments.task import SPLITS, Task, TaskSet, draw_task_set
from environments.trials import TrialBatch

__all__ = [
    "SPLITS",
    "Array",
    "EnvironmentBatch",
    "EnvironmentFailure",
    "ObservationGroups",
    "ObservationLayout",
    "StepBatch",
    "Task",
    "TaskDistribution",
    "TaskEnvironment",
    "TaskSet",
    "TrialBatch",
    "UnknownEnvironmentError",
    "draw_task_set",
    "load",
    "names",
]

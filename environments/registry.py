"""Task distributions by name, and any distribution of a user's as `module:factory`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping

from environments.distribution import TaskDistribution
from environments.imported_code import unchanged_process
from environments.wording import described

_USUAL_OPTIONS = {"task_set": "default", "task_set_seed": 0}
_BUILT_IN = {
    "sparse_navigation": "environments.sparse_navigation:SparseNavigation",
    "half_cheetah_velocity": "environments.half_cheetah_velocity:HalfCheetahVelocity",
    "go_to_ring": "environments.go_to_ring:GoToRing",
    "move_box": "environments.move_box:MoveBox",
    "reach": "environments.reach:Reach",
    "go_to_target": "environments.go_to_target:GoToTarget",
}


class UnknownEnvironmentError(ValueError):
    """The name of an environment leads nowhere; the message says what can be named."""


def names() -> tuple[str, ...]:
    """Returns the names of the built-in task distributions."""
    return tuple(_BUILT_IN)


def load(name: str, **options: object) -> TaskDistribution:
    """Makes a task distribution.

    Args:
        name: A built-in name, or `module:factory` of a user's own distribution.
        **options: Arguments of the distribution, such as `task_set` and `task_set_seed`. One that the distribution does not
            take may be given with its usual value.

    Returns:
        The distribution.

    Raises:
        UnknownEnvironmentError: If there is no such distribution, its code fails or exits, or it is not one.
        ValueError: If the distribution refuses an option.
    """
    target = _BUILT_IN.get(name, name)
    module_name, _, factory_name = target.partition(":")
    if not factory_name:
        raise UnknownEnvironmentError(
            f"Unknown environment {name!r}: choose {', '.join(_BUILT_IN)}, or name your own as module:factory."
        )
    try:
        with unchanged_process():
            factory = getattr(importlib.import_module(module_name), factory_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise UnknownEnvironmentError(
            f"Cannot load the environment {name!r}: {described(error)}."
        ) from error
    accepted = _accepted(factory, options, name)
    try:
        with unchanged_process():
            distribution = factory(**accepted)
    except (KeyboardInterrupt, ValueError):  # The latter refuses an option.
        raise
    except BaseException as error:
        raise UnknownEnvironmentError(
            f"The environment {name!r} cannot be made: {described(error)}."
        ) from error
    if not isinstance(distribution, TaskDistribution):
        raise UnknownEnvironmentError(
            f"The environment {name!r} made a {type(distribution).__name__}, not a TaskDistribution."
        )
    return distribution


def _accepted(
    factory: Callable[..., object], options: Mapping[str, object], name: str
) -> dict[str, object]:
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError) as error:
        raise UnknownEnvironmentError(
            f"The environment {name!r} is not made by a Python function or class: {error}."
        ) from error
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return dict(options)
    for option, value in options.items():
        if option not in parameters and value != _USUAL_OPTIONS.get(option):
            raise ValueError(f"The environment {name!r} takes no {option} (given {value!r}).")
    return {option: value for option, value in options.items() if option in parameters}

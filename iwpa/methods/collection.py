"""A collection of methods by name, and what is known of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from iwpa.method import Method
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.start import Start
from iwpa.snapshots import DEFAULT_AGENT, Snapshot


@dataclasses.dataclass(frozen=True)
class Kind:
    """The registry's entry for one method.

    Attributes:
        make: Makes the method, before its first episode.
        transition_bytes: Returns the memory that one transition takes, in bytes.
        agent: Name of the agent from whose snapshots it starts.
        needs: Name of a weight that it requires and that snapshots of earlier versions lack, if
            any.
    """

    make: Callable[[Start], Method]
    transition_bytes: Callable[[Snapshot, AdaptationConfig], int]
    agent: str = DEFAULT_AGENT
    needs: str | None = None


class Methods:
    """A collection of methods by name.

    Attributes:
        kinds: Entries in the order of comparison; among those of one agent, the last is the best.
    """

    def __init__(self, kinds: Mapping[str, Kind]):
        self.kinds = dict(kinds)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all methods."""
        return tuple(self.kinds)

    def make(self, name: str, start: Start) -> Method:
        """Makes a method for R replicas, before its first episode.

        Raises:
            ValueError: If the method is unknown, the snapshot cannot serve it, or its
                hyper-parameters require something that the snapshot or `iwpa` lacks.
        """
        (name,) = self.known([name], start.snapshot.agent)
        return self.kinds[name].make(start)

    def transition_bytes(self, name: str, snapshot: Snapshot, config: AdaptationConfig) -> int:
        """Returns the memory that one transition takes in a method, in bytes."""
        return self.kinds[name].transition_bytes(snapshot, config)

    def served_by(self, agent: str) -> tuple[str, ...]:
        """Returns the methods that can start from an agent's snapshots."""
        return tuple(name for name, kind in self.kinds.items() if kind.agent == agent)

    def served_by_snapshot(self, snapshot: Snapshot) -> tuple[str, ...]:
        """Returns the methods that can start from a given snapshot, even of an earlier version."""
        needs = ((name, self.kinds[name].needs) for name in self.served_by(snapshot.agent))
        return tuple(name for name, need in needs if need is None or need in snapshot.weights)

    def best(self, snapshot: Snapshot) -> str:
        """Returns the default method for a snapshot."""
        return self.served_by_snapshot(snapshot)[-1]

    def known(self, names: Sequence[str], agent: str | None = None) -> tuple[str, ...]:
        """Checks names of methods and returns them without duplicates.

        Args:
            names: Names of methods.
            agent: The agent that was trained; None for any.

        Raises:
            ValueError: If a method is unknown or the agent cannot serve it.
        """
        for name in names:
            if name not in self.kinds:
                raise ValueError(f"Unknown method {name!r}: choose from {', '.join(self.kinds)}.")
            if agent is not None and name not in self.served_by(agent):
                needed, served = self.kinds[name].agent, ", ".join(self.served_by(agent))
                raise ValueError(
                    f"The method {name} needs a run of --agent={needed}; "
                    f"one of --agent={agent} serves {served}."
                )
        return tuple(dict.fromkeys(names))

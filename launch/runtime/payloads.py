"""What a node of a Launchpad program needs to run on any host.

That is its pickled function, and addresses that are looked up on the host.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import pathlib
import sys
from typing import Any

import cloudpickle
import launchpad as lp
from launchpad.address import AbstractAddressBuilder
from launchpad.launch import serialization

from launch.runtime.host_daemon import ADDRESSES, NODE_DIRECTORY, STOP_REQUEST


@dataclasses.dataclass(frozen=True)
class NodePlan:
    """What the supervisor knows of one node.

    Attributes:
        name: `GROUP-INDEX`.
        group: The program's group that the node belongs to.
        payload: The node's pickled function, in base64.
        provides: Names of the node's addresses, one port each.
        needs: Names of the nodes that it calls.
    """

    name: str
    group: str
    payload: str
    provides: tuple[str, ...]
    needs: tuple[str, ...]


class LateAddress(AbstractAddressBuilder):  # type: ignore[misc]
    """An address that is looked up in the node's process, as it is unknown at pickling time."""

    def __init__(self, name: str):
        self._name = name

    def build(self) -> str:
        """Returns `HOST:PORT` from the table that the daemon stored beside the payload."""
        table: dict[str, str] = json.loads((_node_directory() / ADDRESSES).read_text())
        return table[self._name]


def request_stop(mark_as_completed: bool = False) -> None:
    """Asks the supervisor to stop the program; `lp.stop()` calls it in a node."""
    del mark_as_completed
    (_node_directory() / STOP_REQUEST).touch()


def make_plans(program: lp.Program) -> list[NodePlan]:
    """Returns the plans of a program's nodes, in the program's order.

    Raises:
        RuntimeError: If a node cannot be pickled.
    """
    names: dict[Any, str] = {}
    owners: dict[Any, str] = {}
    for group, nodes in program.groups.items():
        for index, node in enumerate(nodes):
            name = names[node] = f"{group}-{index}"
            # Launchpad's own stop function signals a process id, which on another host belongs to
            # some other process.
            node.launch_context.initialize(lp.LaunchType.LOCAL_MULTI_PROCESSING, None, request_stop)
            for number, address in enumerate(node.addresses):
                owners[address] = name
                address.bind(LateAddress(_address_name(name, number)))
    for group, nodes in program.groups.items():
        for node in nodes:
            for handle in node.input_handles:
                handle.connect(node, group)
    return [_plan(node, name, owners) for node, name in names.items()]


def command() -> list[str]:
    """Returns the command that starts a node's process; the daemon fills in the payload's path."""
    return [
        sys.executable,
        "-m",
        "launch.runtime.node",
        "--data_file",
        "{payload}",
        "--lp_task_id",
        "0",
    ]


def _plan(node: Any, name: str, owners: dict[Any, str]) -> NodePlan:
    serialization.enable_lru_cache_pickling_once()
    return NodePlan(
        name,
        name.rpartition("-")[0],
        base64.b64encode(cloudpickle.dumps([node.function])).decode(),
        tuple(_address_name(name, number) for number in range(len(node.addresses))),
        tuple(dict.fromkeys(owners[handle._address] for handle in node.input_handles)),
    )


def _address_name(node: str, number: int) -> str:
    return f"{node}/{number}"


def _node_directory() -> pathlib.Path:
    return pathlib.Path(os.environ[NODE_DIRECTORY])

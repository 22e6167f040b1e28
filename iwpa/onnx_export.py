"""Exports an adapted policy as one ONNX graph, for runtimes without Python.

Needs the package onnx (`pip install iwpa[onnx]`).
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from iwpa.environment_spec import EnvironmentSpec
from iwpa.method import Frozen
from iwpa.networks import Weights, sub_weights
from iwpa.snapshots import Snapshot

_OPSET = 17
_LAYER_NORM_EPSILON = 1e-5
# Halvings of the bracket of log tau, which is a few units wide: down to float32's rounding.
_HALVINGS = 26
# A logit whose weight is 0 in float32.
_EXCLUDED = -1e4


class _Graph:
    """Collects the graph's nodes and constants; methods return the names of the values they add."""

    def __init__(self, onnx: Any):
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any, kind: type[Any] = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.array(value, kind), name))
        return name

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        name = output or f"v{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def linear(self, x: str, weights: Weights, name: str) -> str:
        return self.add(
            "Add",
            self.add("MatMul", x, self.constant(weights[f"{name}/w"])),
            self.constant(weights[f"{name}/b"]),
        )

    def sum(self, x: str) -> str:
        """Adds the sum over the last axis, which is kept."""
        return self.add("ReduceSum", x, self.constant([-1], np.int64), keepdims=1)

    def layer_norm(self, x: str) -> str:
        centred = self.add("Sub", x, self.add("ReduceMean", x, axes=[-1], keepdims=1))
        variance = self.add("ReduceMean", self.add("Mul", centred, centred), axes=[-1], keepdims=1)
        return self.add(
            "Div",
            centred,
            self.add("Sqrt", self.add("Add", variance, self.constant(_LAYER_NORM_EPSILON))),
        )

    def torso(self, x: str, weights: Weights) -> str:
        """Adds the torso of `iwpa.networks`: linear, layer normalisation, tanh, then ELU layers."""
        x = self.layer_norm(self.linear(x, weights, "linear_0"))
        scaled = self.add(
            "Add",
            self.add("Mul", x, self.constant(weights["scale"])),
            self.constant(weights["offset"]),
        )
        x, layer = self.add("Tanh", scaled), 1
        while f"linear_{layer}/w" in weights:
            x = self.add("Elu", self.linear(x, weights, f"linear_{layer}"))
            layer += 1
        return x


def export(
    path: str | os.PathLike[str], snapshot: Snapshot, environment: EnvironmentSpec, policy: Frozen
) -> None:
    """Writes a policy's graph to a file.

    Its inputs are `observation` `[1, D]` (unscaled, in the order of the flat observation), `noise`
    `[K, A]` (standard normal) and `uniform` `[1]` (from [0, 1)); its output is `action` `[1, A]` in
    the environment's bounds.

    Args:
        path: The file to write.
        snapshot: Source of prior and psi.
        environment: Source of scales and bounds.
        policy: The learned policy.

    Raises:
        ImportError: If onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError("export_onnx needs the package onnx: pip install onnx") from error
    graph, spec = _Graph(onnx), snapshot.spec
    scales = [
        scale
        for _, shape, scale in environment.observations
        for _ in range(int(np.prod(shape, dtype=int)))
    ]
    observation = graph.add("Mul", "observation", graph.constant(scales))
    actions = _proposals(graph, observation, snapshot, policy)
    chosen = graph.add(
        "Gather",
        actions,
        _choice(graph, _values(graph, observation, actions, snapshot, policy), policy),
        axis=0,
    )
    low, high = (
        np.ravel(bound).astype(np.float32)
        for bound in (environment.action_low, environment.action_high)
    )
    scaled = graph.add("Mul", _clipped(graph, chosen), graph.constant((high - low) / 2))
    graph.add("Add", scaled, graph.constant((high + low) / 2), output="action")
    values = {
        "observation": [1, spec.observation_size],
        "noise": [policy.samples, spec.action_size],
        "uniform": [1],
    }
    floats = onnx.TensorProto.FLOAT
    inputs = [
        onnx.helper.make_tensor_value_info(name, floats, shape) for name, shape in values.items()
    ]
    outputs = [onnx.helper.make_tensor_value_info("action", floats, [1, spec.action_size])]
    made = onnx.helper.make_graph(
        graph.nodes, f"iwpa-{environment.name}", inputs, outputs, graph.constants
    )
    model = onnx.helper.make_model(
        made,
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=8,
        producer_name="iwpa",
    )
    onnx.checker.check_model(model)
    onnx.save(model, os.fspath(path))


def _proposals(graph: _Graph, observation: str, snapshot: Snapshot, policy: Frozen) -> str:
    """Adds the proposals `[K, A]`, drawn from the prior or, where it proposes, the expert."""
    seen = graph.add(
        "Gather", observation, graph.constant(snapshot.spec.prior_columns, np.int64), axis=1
    )
    mean, std = _gaussian(graph, seen, snapshot, "prior")
    if policy.expert is not None and policy.from_expert is not None:
        embedding = graph.constant(policy.expert[None])
        others = _gaussian(
            graph, graph.add("Concat", observation, embedding, axis=1), snapshot, "expert"
        )
        which = graph.constant(policy.from_expert[:, None], np.bool_)
        mean, std = (
            graph.add("Where", which, other, own)
            for other, own in zip(others, (mean, std), strict=True)
        )
    return graph.add("Add", mean, graph.add("Mul", std, "noise"))


def _gaussian(graph: _Graph, x: str, snapshot: Snapshot, name: str) -> tuple[str, str]:
    """Adds a policy network's mean and standard deviation, `[1, A]`."""
    weights, networks = sub_weights(snapshot.weights, name), snapshot.networks
    x = graph.torso(x, sub_weights(weights, "torso"))
    mean = graph.add("Tanh", graph.linear(x, weights, "mean"))
    spread = graph.add(
        "Mul",
        graph.add("Sigmoid", graph.linear(x, weights, "std")),
        graph.constant(networks.max_std - networks.min_std),
    )
    return mean, graph.add("Add", spread, graph.constant(networks.min_std))


def _values(
    graph: _Graph, observation: str, actions: str, snapshot: Snapshot, policy: Frozen
) -> str:
    """Adds Q of the proposals, `[1, K]`."""
    weights = sub_weights(snapshot.weights, "features")
    states = graph.add("Expand", observation, graph.constant([policy.samples, 1], np.int64))
    x = graph.torso(
        graph.add("Concat", states, _clipped(graph, actions), axis=1), sub_weights(weights, "torso")
    )
    psi = graph.layer_norm(graph.linear(x, weights, "output"))
    values = graph.add("MatMul", psi, graph.constant(policy.head[:-1, None]))
    return graph.add(
        "Transpose", graph.add("Add", values, graph.constant(policy.head[-1])), perm=[1, 0]
    )


def _choice(graph: _Graph, values: str, policy: Frozen) -> str:
    """Adds the index of the chosen proposal, `[1]`, as drawn by `Proposals.choose`."""
    weights = graph.add("Softmax", _logits(graph, values, policy), axis=1)
    cumulative = graph.add("CumSum", weights, graph.constant(1, np.int64))
    whole = graph.add("Gather", cumulative, graph.constant([-1], np.int64), axis=1)
    below = graph.add("LessOrEqual", cumulative, graph.add("Mul", "uniform", whole))
    count = graph.add(
        "ReduceSum",
        graph.add("Cast", below, to=graph.onnx.TensorProto.INT64),
        graph.constant([1], np.int64),
        keepdims=0,
    )
    return graph.add("Min", count, graph.constant([policy.samples - 1], np.int64))


def _logits(graph: _Graph, values: str, policy: Frozen) -> str:
    """Adds the logits of the proposals' weights, `[1, K]`."""
    if policy.expert_alone and policy.from_expert is not None:
        return graph.constant(np.where(policy.from_expert, 0.0, _EXCLUDED)[None])
    shifted = graph.add("Sub", values, graph.add("ReduceMax", values, axes=[1], keepdims=1))
    return graph.add(
        "Mul",
        shifted,
        graph.constant(1.0 / policy.temperature)
        if policy.temperature
        else _calibrated(graph, shifted, policy),
    )


def _calibrated(graph: _Graph, shifted: str, policy: Frozen) -> str:
    """Adds 1 / tau such that KL(q || pi_0) = epsilon at this state.

    Bisects within the bracket of `iwpa.methods.temperature`.
    """
    spread = graph.add(
        "Max",
        graph.add("Neg", graph.add("ReduceMin", shifted, axes=[1], keepdims=1)),
        graph.constant(1e-30),
    )
    log_spread, half = graph.add("Log", spread), graph.constant(0.5)
    low = graph.add("Sub", graph.constant(np.log(policy.kl_bound)), log_spread)
    high = graph.add("Sub", graph.constant(-np.log(policy.floor_share)), log_spread)
    for _ in range(_HALVINGS):
        middle = graph.add("Mul", graph.add("Add", low, high), half)
        logits = graph.add("Mul", shifted, graph.add("Exp", middle))
        weights = graph.add("Exp", logits)
        total = graph.sum(weights)
        mean = graph.add("Div", graph.sum(graph.add("Mul", weights, logits)), total)
        kl = graph.add(
            "Sub",
            mean,
            graph.add("Log", graph.add("Mul", total, graph.constant(1.0 / policy.samples))),
        )
        above = graph.add("Greater", kl, graph.constant(policy.kl_bound))
        low, high = graph.add("Where", above, low, middle), graph.add("Where", above, middle, high)
    return graph.add("Exp", low)


def _clipped(graph: _Graph, x: str) -> str:
    return graph.add("Clip", x, graph.constant(-1.0), graph.constant(1.0))

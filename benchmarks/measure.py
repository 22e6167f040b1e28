"""Timing, machine description and output as a table or JSON, shared by all benchmarks."""

from __future__ import annotations

import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
from absl import app, flags, logging

from results.command_line import flag_parser

flags.DEFINE_boolean("json", False, "Print exactly one line of JSON instead of a table.")

Figures = Mapping[str, Any]


def run(
    measure: Callable[[], Figures], descriptions: Mapping[str, str], title: str, threads: int = 1
) -> None:
    """Runs a benchmark as a program: measures and prints its figures.

    Args:
        measure: Returns the figures by name.
        descriptions: The meaning of each figure, in the order of the table's rows.
        title: What is measured.
        threads: Number of TensorFlow operations that may run in parallel, each on one thread.
    """

    def main(_: Any) -> None:
        logging.set_verbosity(logging.ERROR)
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        figures = measure()
        if flags.FLAGS.json:
            print(json.dumps({**figures, "machine": machine()}))
        else:
            print(f"{title}\n{machine()}\n{table(figures, descriptions)}")
        sys.stdout.flush()

    app.run(main, flags_parser=flag_parser("benchmarks"))


def cpu_seconds(function: Callable[[], object]) -> float:
    """Returns the CPU seconds of one call in this process, over all threads."""
    start = time.process_time()
    function()
    return time.process_time() - start


def wall_seconds(function: Callable[[], object]) -> float:
    """Returns the wall-clock seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def interleaved_medians(
    functions: Mapping[str, Callable[[], object]],
    repetitions: int,
    seconds_of: Callable[[Callable[[], object]], float] = cpu_seconds,
) -> dict[str, float]:
    """Returns each function's median seconds, interleaving calls so that load slows all alike.

    Args:
        functions: The functions by name; they must have been compiled by an earlier call.
        repetitions: Number of calls of each.
        seconds_of: Times one call, by CPU time or wall clock.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repetitions):
        for name, function in functions.items():
            seconds[name].append(seconds_of(function))
    return {name: statistics.median(values) for name, values in seconds.items()}


def in_own_process(module: str, *arguments: str) -> dict[str, Any]:
    """Returns the figures of another benchmark, run without XLA flags.

    It runs in a process of its own, because XLA and TensorFlow read their flags once per process.
    """
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    command = [sys.executable, "-m", module, "--json", *arguments]
    result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    figures: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return figures


def machine() -> str:
    """Returns processor, cores, load and versions on one line."""
    processor = platform.processor() or platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.partition(":")[2].strip()
            for line in cpuinfo.read_text().splitlines()
            if line.startswith("model name")
        ]
        processor = names[0] if names else processor
    load = os.getloadavg()[0]
    versions = f"Python {platform.python_version()}, TensorFlow {tf.__version__}"
    return f"{processor}, {os.cpu_count()} cores, load {load:.1f}, {versions}"


def table(figures: Figures, descriptions: Mapping[str, str]) -> str:
    """Returns an aligned line (name, value, meaning) per figure, or per entry of a mapping."""
    rows = []
    for name, description in descriptions.items():
        rows += [
            (key, _text(entry), description)
            for key, entry in _entries(name, figures.get(name, {})).items()
        ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(
        f"  {name:<{widths[0]}}  {value:>{widths[1]}}  {description}"
        for name, value, description in rows
    )


def _entries(name: str, value: Any) -> dict[str, Any]:
    """Returns entries of nested mappings by names such as `name.key`; a plain value by its name."""
    if not isinstance(value, Mapping):
        return {name: value}
    return {
        inner: entry
        for key, part in value.items()
        for inner, entry in _entries(f"{name}.{key}", part).items()
    }


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"{value[0]} {value[1:]}"
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:,.0f}"

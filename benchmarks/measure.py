"""What all benchmarks share: CPU time with interleaved repetitions, the machine's description, and output as a table or as JSON."""

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
    """Runs a benchmark's program: measures and prints what came out.

    Args:
        measure: Returns the figures by name.
        descriptions: What each figure means; the table's rows in their order.
        title: What is measured.
        threads: How many operations of TensorFlow may run together, each on one thread.
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
    """Returns the CPU time that this process, all its threads included, uses for one call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def wall_seconds(function: Callable[[], object]) -> float:
    """Returns the time that one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def interleaved_medians(
    functions: Mapping[str, Callable[[], object]],
    repetitions: int,
    seconds_of: Callable[[Callable[[], object]], float] = cpu_seconds,
) -> dict[str, float]:
    """Returns the median seconds of each function, called in turns so that a busy machine slows all of them alike.

    Args:
        functions: What to call, by name; everything compiled has been called before.
        repetitions: Calls of each.
        seconds_of: Times one call, by CPU time or wall clock.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repetitions):
        for name, function in functions.items():
            seconds[name].append(seconds_of(function))
    return {name: statistics.median(values) for name, values in seconds.items()}


def in_own_process(module: str, *arguments: str) -> dict[str, Any]:
    """Returns the figures of another benchmark without XLA flags; XLA and TensorFlow read their settings once in a process."""
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    command = [sys.executable, "-m", module, "--json", *arguments]
    result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    figures: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return figures


def machine() -> str:
    """Returns processor, cores, load and versions in one line."""
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
    return f"{processor}, {os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}, TensorFlow {tf.__version__}"


def table(figures: Figures, descriptions: Mapping[str, str]) -> str:
    """Returns one aligned line for each described figure: name, value, meaning. A figure that is a mapping takes a line for each entry."""
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
    """Returns the entries of a mapping, those of mappings in it too, by names such as `name.key`; of anything else itself."""
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

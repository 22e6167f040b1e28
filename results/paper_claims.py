"""What the paper says of its figures 1 and 2, as paired differences between methods.

    python -m results.paper_claims --runs=docs/results/sparse_navigation/figure_1_runs.csv

It reads the `figure_N_runs.csv` that `python -m results.figures` writes, and prints for each pair
of methods how much more the first returns than the second, with its 95% interval: over the first
three episodes of adaptation, over all, which tells the faster, and over the last three, which tells
the better in the end.
"""

from __future__ import annotations

import csv
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from absl import flags

from results import claims
from results.claims import Pair
from results.command_line import USAGE_ERROR, Path, fail
from results.command_line import run as run_program
from results.table import aligned, difference_cells

FloatArray = npt.NDArray[np.float64]
_PROGRAM = "results.paper_claims"

# (method, baseline): the method's gain, what of it comes from each of its two parts, and what
# meta-learning gains over it.
COMPARISONS = (
    ("shared_q_iw", "from_scratch"),
    ("shared_q_iw", "distral"),
    ("shared_q", "distral"),
    ("iw", "distral"),
    ("shared_q_iw", "shared_q"),
    ("shared_q_iw", "iw"),
    ("rl2", "shared_q_iw"),
    ("pearl", "shared_q_iw"),
    ("shared_q_iw_hypotheses", "shared_q_iw"),
)
MEASURES: Mapping[str, Callable[[FloatArray], float]] = {
    "first three": lambda returns: float(returns[:3].mean()),
    "all episodes": lambda returns: float(returns.mean()),
    "last three": lambda returns: float(returns[-3:].mean()),
}


def read_runs(path: pathlib.Path) -> dict[str, dict[str, dict[Pair, FloatArray]]]:
    """Returns the returns `[E]` of each run, by environment, method and (training, task, seed).

    The n-th run directory of one method is paired with the n-th of another: those of the same
    training seed, if runs were given in that order.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not a `figure_N_runs.csv` of figure 1 or 2.
    """
    found: dict[str, dict[str, dict[Pair, FloatArray]]] = {}
    trainings: dict[tuple[str, str], list[str]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                environment, method, run_dir = row["environment"], row["line"], row["run_dir"]
                task, seed = int(row["task"]), int(row["seed"])
                values = [value for name, value in row.items() if name.startswith("value_")]
                returns = np.array([value for value in values if value], np.float64)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise ValueError(f"{path} is no figure_1_runs.csv or figure_2_runs.csv") from error
            known = trainings.setdefault((environment, method), [])
            if run_dir not in known:
                known.append(run_dir)
            runs = found.setdefault(environment, {}).setdefault(method, {})
            runs[known.index(run_dir), task, seed] = returns
    if not found:
        raise ValueError(f"{path} holds no runs")
    return found


def paper_claims(runs: Mapping[str, Mapping[Pair, FloatArray]]) -> list[tuple[str, claims.Claim]]:
    """Returns the measure and the difference of all pairs of methods that these runs allow.

    Only trainings, tasks, seeds and episodes that both have count; whole tasks are drawn in the
    bootstrap, with all their trainings and seeds.

    Args:
        runs: The returns `[E]` of one environment's runs, by method.
    """
    found = []
    for method, baseline in COMPARISONS:
        a, b = runs.get(method, {}), runs.get(baseline, {})
        episodes = min((len(returns) for returns in (*a.values(), *b.values())), default=0)
        for measure, of_returns in MEASURES.items():
            values, others = (
                {pair: of_returns(returns[:episodes]) for pair, returns in side.items()}
                for side in (a, b)
            )
            claim = claims.compared(method, baseline, values, others)
            if claim:
                found.append((measure, claim))
    return found


def as_text(found: Sequence[tuple[str, claims.Claim]]) -> list[str]:
    """Returns a line for each difference."""
    rows = []
    for measure, claim in found:
        methods, *cells = difference_cells(claim)
        rows.append([methods, measure, *cells])
    return aligned(rows)


def main(argv: Sequence[str]) -> int:
    """Prints the differences of each environment; returns the exit code."""
    if not flags.FLAGS.runs or len(argv) > 1:
        return fail(_PROGRAM, "say which file: --runs=figures/figure_1_runs.csv", USAGE_ERROR)
    try:
        by_environment = read_runs(pathlib.Path(flags.FLAGS.runs))
    except (OSError, ValueError) as error:
        return fail(_PROGRAM, str(error), USAGE_ERROR)
    for environment, runs in by_environment.items():
        print(f"{environment}: differences in return (95% interval: paired bootstrap over tasks)")
        print("\n".join(f"  {line}" for line in as_text(paper_claims(runs))), flush=True)
    return 0


if __name__ == "__main__":
    flags.DEFINE(Path(), "runs", None, "A figure_1_runs.csv or figure_2_runs.csv.")
    run_program(_PROGRAM, main)

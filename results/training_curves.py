"""Draws training curves: `python -m results.training_curves --run_dir=runs/NAME [--out=FILE]`.

Draws returns, KL, lambda, entropy and importance weights against learner steps. The run may be
under way, finished or failed; FILE is .png or .svg. Exit codes: 0 done, 1 the picture could not be
written, 2 wrong input.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from absl import flags

from results import store, summary, training_figures
from results.command_line import FAILED, USAGE_ERROR, Path, fail
from results.command_line import run as run_program

_PROGRAM = "results.training_curves"


def write(run_dir: pathlib.Path, path: pathlib.Path) -> None:
    """Draws a run's training curves into a PNG or SVG file, chosen by the path's suffix.

    Raises:
      RunDirectoryError: if the folder is not a run directory, or training has recorded nothing yet.
    """
    from results import matplotlib_figures  # Slow to import: it draws.

    summary.identity(run_dir)
    log = training_figures.TrainingLog()
    log.extend(store.read_records(run_dir, "training"))
    figure = training_figures.training_figure(log, training_figures.WATCHED)
    if not figure.panels:
        raise summary.RunDirectoryError(f"{run_dir} has no record of training yet: train longer")
    path.parent.mkdir(parents=True, exist_ok=True)
    matplotlib_figures.save_panels(figure, path)


def _main(argv: Sequence[str]) -> int:
    values = flags.FLAGS
    if values.run_dir is None or len(argv) > 1:
        message = f"say which run: python -m {_PROGRAM} --run_dir=runs/NAME [--out=FILE.png]"
        return fail(_PROGRAM, message, USAGE_ERROR)
    run_dir = pathlib.Path(values.run_dir)
    path = pathlib.Path(values.out or run_dir / "figures" / "training_curves.png")
    if path.suffix not in (".png", ".svg"):
        return fail(_PROGRAM, f"--out takes a .png or .svg, not {path}", USAGE_ERROR)
    try:
        write(run_dir, path)
    except summary.RunDirectoryError as error:
        return fail(_PROGRAM, str(error), USAGE_ERROR)
    except OSError as error:
        return fail(_PROGRAM, f"the picture could not be written: {error}", FAILED)
    print(path)
    return 0


def define_flags() -> None:
    """Defines the program's flags."""
    flags.DEFINE(Path(), "run_dir", None, "The run directory, runs/NAME.")
    flags.DEFINE(
        Path(), "out", None, "Picture to write; by default in the run directory's figures."
    )


if __name__ == "__main__":
    define_flags()
    run_program(_PROGRAM, _main)

"""Installs only `iwpa`, with the newest numpy, on each Python from 3.10 to 3.13, and checks it.

    python3 tools/pythons.py

It uses pyenv's Pythons and the system's. It fails if it finds fewer than two: a check on one says
nothing about the others.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MINORS = range(10, 14)
FEWEST = 2
_TOP_LEVEL = """
import importlib.metadata
names = {path.parts[0] for path in importlib.metadata.files("iwpa")}
extra = sorted(name for name in names if name != "iwpa" and not name.endswith(".dist-info"))
assert not extra, f"the wheel of iwpa also installs {extra}"
"""


def candidates(minor: int) -> list[pathlib.Path]:
    """Returns candidate paths of a Python of a minor version."""
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv"), "versions")
    own = sorted(pyenv.glob(f"3.{minor}.*/bin/python3.{minor}"))
    return [
        *own,
        *(pathlib.Path(folder, f"python3.{minor}") for folder in ("/usr/local/bin", "/usr/bin")),
    ]


def works(python: pathlib.Path) -> bool:
    """Returns whether the Python runs."""
    return (
        python.exists()
        and subprocess.run(
            [python, "-c", "import ssl, venv"], capture_output=True, check=False
        ).returncode
        == 0
    )


def check(python: pathlib.Path, minor: int) -> bool:
    """Returns whether iwpa installs and passes its checks on a Python."""
    environment, uv = ROOT / f".venv-python3.{minor}", str(ROOT / "tools" / "uv")
    inside = str(environment / "bin" / "python")
    plain = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    install = [
        uv,
        "pip",
        "install",
        "--quiet",
        "--upgrade",
        "--reinstall-package",
        "iwpa",
        "--python",
        inside,
        f"{ROOT / 'iwpa'}[onnx]",
        "onnxruntime",
    ]
    commands = [
        [uv, "venv", "--quiet", "--clear", "--python", str(python), str(environment)],
        install,
        [inside, "-c", _TOP_LEVEL],
        [inside, str(ROOT / "tests" / "support" / "golden.py")],
        [inside, str(ROOT / "tests" / "support" / "exported.py")],
    ]
    # Run outside the sources, which would otherwise be imported instead of the installed package.
    return all(
        subprocess.run(command, cwd=environment.parent / "tests", env=plain, check=False).returncode
        == 0
        for command in commands
    )


def main() -> int:
    """Checks all Pythons; returns the exit code."""
    found = {minor: next(filter(works, candidates(minor)), None) for minor in MINORS}
    pythons = {minor: python for minor, python in found.items() if python is not None}
    print(f"Pythons: {', '.join(map(str, pythons.values())) or 'none'}", flush=True)
    if len(pythons) < FEWEST:
        print(
            f"At least {FEWEST} of Python 3.{MINORS[0]} to 3.{MINORS[-1]} are needed, from pyenv "
            "or the system.",
            file=sys.stderr,
        )
        return 1
    failed = [f"3.{minor}" for minor, python in pythons.items() if not check(python, minor)]
    if failed:
        print(f"iwpa fails on Python {', '.join(failed)}.", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())

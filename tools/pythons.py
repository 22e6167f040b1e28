"""Installs `iwpa` alone on every Python from 3.10 to 3.13 that is found, with the newest numpy, and checks it there.

    python3 tools/pythons.py

Pythons are pyenv's and the system's. Fewer than two are a failure: what is checked on one alone says nothing of the others.
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
    """Returns where a Python of a minor version may be."""
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv"), "versions")
    own = sorted(pyenv.glob(f"3.{minor}.*/bin/python3.{minor}"))
    return [
        *own,
        *(pathlib.Path(folder, f"python3.{minor}") for folder in ("/usr/local/bin", "/usr/bin")),
    ]


def works(python: pathlib.Path) -> bool:
    """Returns whether there is such a Python."""
    return (
        python.exists()
        and subprocess.run(
            [python, "-c", "import ssl, venv"], capture_output=True, check=False
        ).returncode
        == 0
    )


def check(python: pathlib.Path, minor: int) -> bool:
    """Returns whether iwpa installs and does the same on a Python."""
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
    # Elsewhere than in the sources, which would be imported instead of what was installed.
    return all(
        subprocess.run(command, cwd=environment.parent / "tests", env=plain, check=False).returncode
        == 0
        for command in commands
    )


def main() -> int:
    """Checks them all."""
    found = {minor: next(filter(works, candidates(minor)), None) for minor in MINORS}
    pythons = {minor: python for minor, python in found.items() if python is not None}
    print(f"Pythons: {', '.join(map(str, pythons.values())) or 'none'}", flush=True)
    if len(pythons) < FEWEST:
        print(
            f"At least {FEWEST} of Python 3.{MINORS[0]} to 3.{MINORS[-1]} are needed, from pyenv or the system.",
            file=sys.stderr,
        )
        return 1
    failed = [f"3.{minor}" for minor, python in pythons.items() if not check(python, minor)]
    if failed:
        print(f"iwpa fails on Python {', '.join(failed)}.", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())

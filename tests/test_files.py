"""How the sources are cut into files, and what architecture.md says of them."""

from __future__ import annotations

import re

import pytest
from program import ROOT

_MOST_LINES = 300
_FOLDERS = ("iwpa", "environments", "replay", "agents", "launch", "results", "dashboard")
_OURS = (*_FOLDERS, "benchmarks", "examples", "tools")
_PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """Returns the text below a heading of architecture.md."""
    return re.split(r"^#+ ", _PAGE.split(f"## {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def files(text: str) -> list[str]:
    """Returns the Python files that a text names, in order."""
    return re.findall(r"`([\w/]+\.py)`", text)


def test_only_files_with_a_reason_in_the_documentation_have_more_than_300_lines():
    long = {
        str(path.relative_to(ROOT))
        for folder in _OURS
        for path in (ROOT / folder).rglob("*.py")
        if "build" not in path.parts and len(path.read_text().splitlines()) > _MOST_LINES
    }
    rows = re.findall(r"^\| `([\w/]+\.py)` \|", section("Files over 300 lines"), re.MULTILINE)
    assert long == set(rows)


@pytest.mark.parametrize("title", ["Follow one transition", "Follow one hyper-parameter"])
def test_the_files_to_follow_exist(title):
    named = files(section(title))
    assert len(named) >= 10
    assert [name for name in named if not (ROOT / name).is_file()] == []

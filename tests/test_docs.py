"""Promises of the Markdown pages: working links, Python that compiles, existing targets."""

from __future__ import annotations

import re
import subprocess
import textwrap

import pytest
from program import ROOT

PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

_BLOCK = re.compile(r"```python\n(.*?)^ *```", flags=re.DOTALL | re.MULTILINE)
BLOCKS = [
    (f"{name}, block {number}", block)
    for name, page in zip(NAMES, PAGES, strict=True)
    for number, block in enumerate(_BLOCK.findall(page.read_text(encoding="utf-8")), start=1)
]


def prose(page):
    """Returns a page without code blocks and spans."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(page):
    """Returns the anchors of a page's headings, numbered like GitHub's where they repeat."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found: list[str] = []
    for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        same = sum(re.fullmatch(re.escape(plain) + r"(-\d+)?", one) is not None for one in found)
        found.append(f"{plain}-{same}" if same else plain)
    return found


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_relative_link_leads_to_a_file_and_to_a_heading_in_it(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} leads nowhere"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{file.name} has no heading #{anchor}"


@pytest.mark.parametrize(("where", "block"), BLOCKS, ids=[where for where, _ in BLOCKS])
def test_every_block_of_python_compiles(where, block):
    compile(textwrap.dedent(block), where, "exec")


def test_every_page_is_in_the_navigation_of_the_site_and_names_modules_that_exist():
    navigation = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), flags=re.MULTILINE)
    pages = [str(page.relative_to(ROOT / "docs")) for page in PAGES if page.parent != ROOT]
    assert sorted(navigation) == sorted(pages)
    for page in (ROOT / "docs" / "api").glob("*.md"):
        for module in re.findall(r"^::: (\S+)$", page.read_text(), flags=re.MULTILINE):
            path = ROOT / module.replace(".", "/")
            assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file(), module


def test_help_explains_every_target_that_a_user_may_call():
    command = ["make", "--no-print-directory", "help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    phony = re.search(r"\.PHONY: (.*?[^\\])\n", (ROOT / "Makefile").read_text(), flags=re.DOTALL)
    assert phony
    targets = phony[1].replace("\\\n", " ").split()
    explained = {line.split()[1] for line in shown.stdout.splitlines()[1:]}
    assert explained == set(targets)

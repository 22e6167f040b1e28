"""No module of ours imports itself by way of others; import-linter has the directions between packages."""

from __future__ import annotations

import graphlib

import grimp
import pytest
import setuptools
from program import ROOT

PACKAGES = ("iwpa", "environments", "replay", "agents", "launch", "results", "dashboard")


def imports_of(*packages: str) -> dict[str, set[str]]:
    """Returns what each module imports of these packages, late imports and those for types alone included."""
    graph = grimp.build_graph(*packages, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def test_every_package_is_looked_at():
    ours = setuptools.find_packages(
        str(ROOT), exclude=("tests*", "benchmarks*", "examples*", "tools*")
    )
    assert {name.partition(".")[0] for name in ours} == set(PACKAGES)


def test_no_module_imports_itself_by_way_of_others():
    try:
        graphlib.TopologicalSorter(imports_of(*PACKAGES)).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


def test_a_circle_would_be_found():
    imports = imports_of("results")
    module, imported = next((module, names) for module, names in imports.items() if names)
    first = next(iter(imported))
    imports[first] = imports[first] | {module}
    with pytest.raises(graphlib.CycleError):
        graphlib.TopologicalSorter(imports).prepare()

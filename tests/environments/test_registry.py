from __future__ import annotations

import sys

import pytest

from environments import UnknownEnvironmentError, load, names
from environments.sparse_navigation import SparseNavigation


def test_a_built_in_name_loads_with_its_options():
    distribution = load("sparse_navigation", task_set="pearl", training="sparse")
    assert isinstance(distribution, SparseNavigation)
    assert distribution.task_set.name == "pearl"
    assert not distribution.dense_training


def test_an_unknown_name_names_the_choices():
    with pytest.raises(
        UnknownEnvironmentError,
        match=f"'navigatoin': choose {', '.join(names())}, or .* module:factory",
    ):
        load("navigatoin")


def test_a_distribution_of_the_users_own_loads_by_module_and_factory(tmp_path, monkeypatch):
    (tmp_path / "my_tasks_of_navigation.py").write_text(
        "from environments.sparse_navigation import SparseNavigation\n"
        "class Mine(SparseNavigation):\n    name = 'mine'\n"
        "def not_one():\n    return {}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert load("my_tasks_of_navigation:Mine", task_set_seed=4).name == "mine"
        with pytest.raises(UnknownEnvironmentError, match="made a dict, not a TaskDistribution"):
            load("my_tasks_of_navigation:not_one")
        with pytest.raises(
            UnknownEnvironmentError, match=r"Cannot load .*has no attribute 'Yours'"
        ):
            load("my_tasks_of_navigation:Yours")
    finally:
        sys.modules.pop("my_tasks_of_navigation", None)


@pytest.mark.parametrize("name", ["no_such_module:factory", ":factory", ".relative:factory"])
def test_a_module_that_cannot_be_imported_is_named(name):
    with pytest.raises(UnknownEnvironmentError, match=f"Cannot load the environment '{name}'"):
        load(name)


def test_code_that_fails_is_named_by_its_error(tmp_path, monkeypatch):
    (tmp_path / "module_that_does_not_parse.py").write_text("def Tasks(:\n")
    (tmp_path / "factory_that_fails.py").write_text("def tasks():\n    return {}['goals']\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        with pytest.raises(
            UnknownEnvironmentError,
            match="Cannot load the environment 'module_that_does_not_parse:Tasks': SyntaxError",
        ):
            load("module_that_does_not_parse:Tasks")
        with pytest.raises(
            UnknownEnvironmentError,
            match="The environment 'factory_that_fails:tasks' cannot be made: KeyError: 'goals'",
        ):
            load("factory_that_fails:tasks")
    finally:
        sys.modules.pop("factory_that_fails", None)


def test_an_option_that_the_distribution_refuses_names_the_choices():
    with pytest.raises(
        ValueError, match="Unknown task set 'garage' of sparse_navigation: choose default or pearl"
    ):
        load("sparse_navigation", task_set="garage")
    with pytest.raises(
        ValueError,
        match="Unknown training reward 'shaped' of sparse_navigation: choose dense or sparse",
    ):
        load("sparse_navigation", training="shaped")

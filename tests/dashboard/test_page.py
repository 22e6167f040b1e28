"""The page in a real browser."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator

import chromium
import pytest
import synthetic_run
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from dashboard.choices import TABS
from results import store

pytestmark = pytest.mark.skipif(
    not (chromium.BINARY and chromium.DRIVER),
    reason="needs Debian's chromium and chromium-driver: apt-get install chromium chromium-driver",
)

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("chromium")


@pytest.fixture(scope="module")
def browser(profile: pathlib.Path) -> Iterator[webdriver.Chrome]:
    with chromium.started(profile) as started:
        yield started


@pytest.fixture(scope="module")
def finished(browser: webdriver.Chrome, filmed_run_dir: pathlib.Path) -> Iterator[chromium.Page]:
    """The page about a finished run."""
    with chromium.served([filmed_run_dir]) as address:
        yield chromium.Page(browser, address)


@pytest.fixture
def page(finished: chromium.Page) -> Iterator[chromium.Page]:
    """The same; the test fails if the console complains."""
    finished.errors()
    yield finished
    assert finished.errors() == []


def test_every_tab_shows_its_panels_and_the_console_is_silent(page):
    page.open()
    curves = page.drawn("curves")
    assert curves["names"] == ["Prior", "Shared Q + IW"]
    assert curves["title"] == "return, mean of the last 3 episodes"
    assert "n = 6 runs (3 tasks × 2 seeds)" in page.text("#caption-curves")
    assert "snapshot 200 selected" in page.text("#status")
    for tab, label in TABS.items():
        page.choose("tab", label)
        page.until(
            "return document.querySelectorAll(`.on-${arguments[0]} .panel:not(.is-loading)`).length",
            tab,
        )
        assert page.run(
            "return document.querySelectorAll(`.on-${arguments[0]} .is-waiting`).length", tab
        ) == {
            "tasks": 3,
            "comparison": 1,
        }.get(tab, 0)
    assert page.run(
        "return performance.getEntriesByType('resource').every(e => e.name.startsWith(location.origin))"
    )


def test_a_click_on_a_task_opens_its_curves_its_path_and_its_films(page):
    page.open("?tab=tasks")
    page.drawn("tasks")
    markers = page.browser.find_elements(By.CSS_SELECTOR, "#graph-tasks .point")
    assert len(markers) == 3
    ActionChains(page.browser).move_to_element(markers[1]).pause(0.2).click().perform()
    assert "mean of 2 seeds" in page.until(
        "return document.querySelector('#panel-task-curves.charted') && document.querySelector('#caption-task-curves').innerText"
    )
    assert page.drawn("task-paths")["names"] == ["goal", "episode 1", "episode 4"]
    assert page.run("return location.search") == "?tab=tasks&task=1"
    # Both films of both methods can be decoded, and play together.
    films = "const films = [...document.querySelectorAll('#body-task-films video')];"
    page.until(f"{films} return films.length === 4 && films.every(film => film.readyState > 0)")
    page.run("document.querySelector('#body-task-films .play').click()")
    page.until(f"{films} return films.every(film => film.currentTime > 0)")


def test_controls_change_the_figure_and_the_address_carries_them(page):
    page.open()
    before = page.drawn("curves")
    page.choose("quantity", "Found")
    page.until("return location.search === '?quantity=found'")
    page.until(
        "return document.querySelector('#graph-curves .js-plotly-plot')._fullLayout.yaxis.title.text === 'runs that found reward'"
    )
    assert page.drawn("curves")["y"] != before["y"]
    page.open("?quantity=return&statistic=iqm&split=validation&snapshot=100&smoothing=5")
    assert page.drawn("curves")["title"] == "return"
    assert "Validation tasks, snapshot 100." in page.text("#caption-curves")
    assert page.text("#choose-snapshot") == "100"
    assert page.run("return document.querySelector('#choose-statistic input[value=iqm]').checked")


def test_pictures_are_saved_and_the_theme_is_switched_and_remembered(page, profile):
    page.open()
    page.drawn("curves")
    page.run("document.querySelector('#save-png-curves').click()")
    page.run("document.querySelector('#save-csv-curves').click()")
    downloads = profile / "downloads"
    chromium.WebDriverWait(page.browser, 60).until(
        lambda _: {"curves.png", "curves.csv"} <= {path.name for path in downloads.glob("*")}
    )
    assert (downloads / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert (downloads / "curves.csv").read_text().startswith("run,method,episode,last3")
    ground = page.run("return getComputedStyle(document.body).backgroundColor")
    page.run("document.querySelector('#theme').click()")
    switched = page.run("return getComputedStyle(document.body).backgroundColor")
    assert switched != ground
    page.open()
    assert page.run("return getComputedStyle(document.body).backgroundColor") == switched
    page.run("document.querySelector('#theme').click()")


def test_a_new_episode_shows_within_two_refreshes_and_keeps_the_zoom(browser, tmp_path):
    run_dir = synthetic_run.write(tmp_path / "growing", films=False)
    with chromium.served([run_dir]) as address:
        page = chromium.Page(browser, address)
        page.open("?quantity=return&smoothing=1")
        assert len(page.drawn("curves")["y"][2]) == 4
        whole = page.drawn("curves")["range"]
        ground = browser.find_element(By.CSS_SELECTOR, "#graph-curves .nsewdrag")
        ActionChains(browser).move_to_element_with_offset(
            ground, -200, 0
        ).click_and_hold().move_by_offset(300, 0).release().perform()
        page.until(
            "return document.querySelector('#graph-curves .js-plotly-plot')._fullLayout.xaxis.range[0] > arguments[0]",
            whole[0],
        )
        zoomed = page.drawn("curves")["range"]
        requests = "return performance.getEntriesByType('resource').filter(e => e.name.includes('_dash-update-component')).length"
        for episode in range(1, 6):
            synthetic_run.add_episode(run_dir, episode, episodes=5)
        answered = page.run(requests)
        page.until(
            "return document.querySelector('#graph-curves .js-plotly-plot').data[2].y.length === 5"
        )
        assert page.run(requests) <= answered + 2  # one that had read before, and one after
        assert page.drawn("curves")["range"] == zoomed


def test_directories_that_are_empty_or_half_written_say_what_they_wait_for(browser, tmp_path):
    empty, begun = tmp_path / "empty", tmp_path / "begun"
    empty.mkdir()
    begun.mkdir()
    (begun / "run.json").write_text(json.dumps({"identity": {"environment": HOSTILE}}))
    synthetic_run.beat(begun, "actor-0", {"environment_steps": 5})
    with store.RecordWriter(begun, "adaptation", HOSTILE.replace("/", "")) as writer:
        writer.append({"split": "test", "method": HOSTILE, "configuration": "a", "task": 0, "seed": 0, "snapshot": 1, "attempt": "1",
                       "episode": 1, "episodes": 2, "return": 1.0, "length": 1, "found": True, "fault": None})  # fmt: skip
        writer.append({"split": "test"})
    (path,) = (begun / "results" / "adaptation").iterdir()
    with path.open("ab") as file:
        file.write(b'{"torn\n{"still being writ')
    with chromium.served([empty, begun]) as address:
        page = chromium.Page(browser, address)
        page.errors()
        page.open()
        assert "no run.json yet: waiting for a run to start there" in page.text("#status")
        assert "2 corrupt lines skipped" in page.text("#status")
        assert HOSTILE in page.text("#status")  # as text
        assert page.drawn("curves")["names"] == [
            f"{HOSTILE} · begun".replace("<", "&lt;").replace(">", "&gt;")
        ]
        assert "empty: no adaptation yet. Validation starts with the first snapshot" in page.text(
            "#caption-curves"
        )
        page.open("?run=empty")
        for tab, panel, words in (
            ("Tasks", "tasks", "empty: no adaptation yet."),
            ("Validation", "validation", "no snapshot has a complete validation yet"),
            ("Training", "training", "Nothing recorded yet"),
            (
                "Training",
                "experts",
                "the experts are measured on every training task when a snapshot is selected",
            ),
            ("Fleet", "nodes", "no node has given a sign of life yet"),
            ("Fleet", "replay", "Replay fills before"),
            ("Videos", "videos", "python -m launch.evaluate"),
            ("Compare", "differences", "empty has no run.json yet."),
        ):
            page.choose("tab", tab)
            page.until(
                "return document.querySelector(arguments[0]).innerText.includes(arguments[1])",
                f"#waiting-{panel}",
                words,
            )
        assert page.errors() == []


def test_a_page_whose_server_is_gone_says_so(browser, run_dir):
    with chromium.served([run_dir]) as address:
        page = chromium.Page(browser, address)
        page.open()
        assert not page.run("return document.querySelector('.lost').offsetParent")
    page.until("return document.querySelector('.lost').offsetParent")


def test_runs_are_overlaid_and_their_differences_listed(browser, tmp_path):
    run_dirs = [
        synthetic_run.write(tmp_path / name, seed=seed, films=False)
        for seed, name in enumerate(("a", "b"))
    ]
    with chromium.served(run_dirs) as address:
        page = chromium.Page(browser, address)
        page.open()
        assert page.drawn("curves")["names"] == [
            "Prior · a",
            "Prior · b",
            "Shared Q + IW · a",
            "Shared Q + IW · b",
        ]
        page.choose("runs", "a")
        page.until("return location.search === '?runs=b'")
        page.until(
            "return document.querySelector('#graph-curves .js-plotly-plot').data.length === 6"
        )
        page.open("?tab=comparison")
        page.until("return document.querySelector('#panel-differences.filled')")
        assert page.text("#body-differences tbody").split() == ["identity.seed", "0", "1"]

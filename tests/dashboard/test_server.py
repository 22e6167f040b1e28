from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import tracemalloc
import urllib.parse

import dash
import pytest
import synthetic_run

from dashboard import page
from dashboard.choices import TABS
from dashboard.live_run import named_runs
from dashboard.server import Dashboard
from results.store import RecordWriter

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def client(filmed_run_dir):
    return Dashboard(named_runs([filmed_run_dir])).flask.test_client()


def film_address(run_dir, film="first.mp4") -> str:
    (recording,) = (
        path.name for path in (run_dir / "videos").iterdir() if "shared_q_iw" in path.name
    )
    return f"/videos/{run_dir.name}/{recording}/{film}"


def refreshed(run_dirs, query, stamps=None):
    return Dashboard(named_runs(run_dirs)).refresh(query, stamps or {}, 13)


def test_the_page_may_load_nothing_from_elsewhere(client):
    answer = client.get("/")
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; connect-src 'self';")
    assert "http" not in policy
    assert "unsafe-eval" not in policy
    assert not [
        word for word in answer.text.split() if word.startswith(("src=", "href=")) and "//" in word
    ]


def test_requests_under_another_name_are_refused_unless_it_was_asked_for(filmed_run_dir):
    runs = named_runs([filmed_run_dir])
    for name, allowed in (
        ("evil.example", 403),
        ("evil.example:8050", 403),
        ("127.0.0.1:8050", 200),
        ("localhost", 200),
        ("[::1]:80", 200),
    ):
        assert (
            Dashboard(runs).flask.test_client().get("/", headers={"Host": name}).status_code
            == allowed
        )
    assert (
        Dashboard(runs, loopback=False)
        .flask.test_client()
        .get("/", headers={"Host": "desk:8050"})
        .status_code
        == 200
    )


PREFIX = {
    "X-Forwarded-Prefix": "/iwpa",
    "X-Forwarded-Host": "desk.example",
    "X-Forwarded-Proto": "https",
}


@pytest.mark.parametrize("cut_off", [True, False])
@pytest.mark.parametrize(
    ("url", "headers"), [(None, PREFIX), ("https://desk.example/iwpa/", {"Host": "desk.example"})]
)
def test_behind_a_path_prefix_all_that_the_page_asks_for_is_below_it(
    filmed_run_dir, url, headers, cut_off
):
    client = Dashboard(named_runs([filmed_run_dir]), url=url).flask.test_client()
    way = "" if cut_off else "/iwpa"
    answer = client.get(f"{way}/", headers=headers)
    assert answer.status_code == 200
    asked = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert asked
    assert all(address.startswith("/iwpa/") for address in asked)
    assert '"requests_pathname_prefix":"/iwpa/"' in answer.text
    for address in [*asked, "/iwpa/alive", "/iwpa/_dash-layout", "/iwpa/tables/curves.csv"]:
        assert client.get(
            address.removeprefix("/iwpa") if cut_off else address, headers=headers
        ).status_code in (200, 204), address
    if not cut_off:
        assert client.get("/iwpa", headers=headers).headers["Location"] == "/iwpa/"


@pytest.mark.parametrize("prefix", ['/"><script>', "//evil.example", "iwpa", "/a b"])
def test_a_forwarded_prefix_that_is_no_path_counts_as_none(client, prefix):
    answer = client.get("/", headers={"X-Forwarded-Prefix": prefix})
    assert answer.status_code == 200
    assert prefix not in answer.text
    assert r'"requests_pathname_prefix":"\u002f"' in answer.text


def test_only_the_name_that_a_proxy_has_is_answered_beside_the_machines_own(filmed_run_dir):
    client = Dashboard(
        named_runs([filmed_run_dir]), url="https://desk.example/iwpa/"
    ).flask.test_client()
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 403


def test_smoothing_over_a_vast_number_of_episodes_costs_nothing(filmed_run_dir):
    tracemalloc.start()
    refreshed([filmed_run_dir], "?tab=adaptation&smoothing=999999999999999")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6


def test_a_run_that_is_given_twice_is_shown_once(filmed_run_dir):
    assert len(named_runs([filmed_run_dir, filmed_run_dir.parent / "." / filmed_run_dir.name])) == 1


def test_every_tab_fills_its_own_panels_and_no_others(filmed_run_dir):
    assert page.SECTIONS.keys() == TABS.keys()
    for tab in TABS:
        shown = refreshed([filmed_run_dir], f"tab={tab}&task=1")
        filled = {name.partition(" ")[2] for name in shown if name.startswith("class ")}
        assert filled == {name for name, slot in page.SLOTS.items() if slot.tab == tab}
        assert all(
            not panel.endswith("is-waiting")
            for name, panel in shown.items()
            if name.startswith("class ") and "differences" not in name
        )


def test_a_refresh_returns_what_has_changed_and_nothing_when_nothing_has(run_dir, monkeypatch):
    monkeypatch.setattr("dashboard.live_run._FRESH_SECONDS", 0.0)
    dashboard = Dashboard(named_runs([run_dir]))
    first = dashboard.refresh("", {}, 13)
    # two methods, each a line and two edges of its band
    assert len(first["graph curves"]["data"]) == 6
    with pytest.raises(dash.exceptions.PreventUpdate):
        dashboard.refresh("", first["stamps"], 13)
    synthetic_run.beat(run_dir, "learner", {"learner_steps": 5})
    assert list(dashboard.refresh("", first["stamps"], 13)) == ["stamps"]
    for episode in range(1, 6):
        synthetic_run.add_episode(run_dir, episode, episodes=5)
    changed = dashboard.refresh("", first["stamps"], 13)
    assert {"graph curves", "body methods"} <= changed.keys()
    assert "class curves" not in changed


def test_the_table_of_a_figure_holds_the_figures_numbers(client, filmed_run_dir):
    answer = client.get("/tables/curves.csv?quantity=return")
    assert answer.headers["Content-Disposition"] == "attachment; filename=curves.csv"
    rows = list(csv.DictReader(answer.text.splitlines()))
    line = refreshed([filmed_run_dir], "quantity=return&smoothing=1")["graph curves"]["data"][-1]
    assert [
        float(row["return"]) for row in rows if row["method"] == "shared_q_iw"
    ] == pytest.approx(line["y"])
    # 3·episode − task + seed, at most 12, over three tasks and two seeds
    assert line["y"] == pytest.approx([2.5, 5.5, 8.5, 68 / 6])


def test_every_panel_with_numbers_can_be_downloaded(client):
    for name, slot in page.SLOTS.items():
        answer = client.get(f"/tables/{name}.csv?tab={slot.tab}&task=1")
        without = name in ("videos", "task-films", "differences")  # films, and nothing to compare
        assert answer.status_code == (404 if without else 200), name
    assert client.get("/tables/unknown.csv").status_code == 404


def test_films_are_served_in_parts(client, filmed_run_dir):
    answer = client.get(film_address(filmed_run_dir), headers={"Range": "bytes=4-7"})
    assert (answer.status_code, answer.mimetype, answer.data) == (206, "video/mp4", b"ftyp")


@pytest.mark.parametrize(
    "film", ["recording.json", "paths.json", "other.mp4", "..%2Ffirst.mp4", "%2Fetc%2Fpasswd"]
)
def test_no_file_but_a_films_is_served(client, filmed_run_dir, film):
    answer = client.get(film_address(filmed_run_dir, film))
    # Dash answers what is no address with the page
    assert answer.status_code == 404 or b"_dash-config" in answer.data


@pytest.mark.parametrize("path", ["../run.json", "../../run.json", "..", "."])
def test_a_path_out_of_the_videos_leads_nowhere(client, filmed_run_dir, path):
    for quoted in (
        path,
        urllib.parse.quote(path, safe=""),
        urllib.parse.quote(path, safe="").replace("%", "%25"),
    ):
        for address in (
            f"/videos/{filmed_run_dir.name}/{quoted}",
            f"/videos/{quoted}/x.mp4",
            f"/assets/{quoted}",
            f"/tables/{quoted}.csv",
        ):
            answer = client.get(address)
            assert answer.status_code >= 400 or b"_dash-config" in answer.data
            assert b"identity" not in answer.data


def test_a_film_that_a_recording_says_lies_elsewhere_is_not_served(tmp_path):
    run_dir = synthetic_run.write(tmp_path / "run")
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"secret")
    (recording,) = (path for path in (run_dir / "videos").iterdir() if "shared_q_iw" in path.name)
    content = json.loads((recording / "recording.json").read_text())
    (recording / "recording.json").write_text(
        json.dumps({**content, "films": {"1": "../../../secret.mp4", "2": "linked.mp4"}})
    )
    os.symlink(secret, recording / "linked.mp4")
    client = Dashboard(named_runs([run_dir])).flask.test_client()
    for film in ("..%2F..%2F..%2Fsecret.mp4", "linked.mp4"):
        answer = client.get(f"/videos/run/{recording.name}/{film}")
        assert b"secret" not in answer.data or answer.status_code == 404


def test_stale_nodes_are_marked_while_training_is_not_over(tmp_path, monkeypatch):
    synthetic_run.beat(tmp_path, "learner", {"learner_steps": 5})
    assert "className='alive'" in str(
        refreshed([tmp_path], "tab=fleet")["body nodes"].children.children[1]
    )
    monkeypatch.setattr("results.fleet.STALE_SECONDS", -1.0)
    assert "className='stale'" in str(
        refreshed([tmp_path], "tab=fleet")["body nodes"].children.children[1]
    )


def test_texts_of_a_run_reach_plotly_as_text(tmp_path):
    run_dir = synthetic_run.write(tmp_path / "a", films=False)
    text = json.dumps(json.loads((run_dir / "tasks.json").read_text()) | {"names": [HOSTILE, "y"]})
    (run_dir / "tasks.json").write_text(text)
    synthetic_run.beat(run_dir, HOSTILE, {"environment_steps": 1})
    synthetic_run.beat(run_dir, HOSTILE, {"environment_steps": 2})
    for query, graph in (("tab=tasks", "graph tasks"), ("tab=fleet", "graph throughput")):
        drawn = json.dumps(refreshed([run_dir], query)[graph])
        assert HOSTILE not in drawn
        assert "&lt;script&gt;" in drawn


def test_runs_are_named_after_their_directories_and_told_apart(tmp_path):
    paths = [
        tmp_path / "x" / "run",
        tmp_path / "y" / "run",
        tmp_path / "x" / "a,b",
        tmp_path / "x" / "y" / "run",
    ]
    assert [run.name for run in named_runs(paths)] == ["run", "y-run", "a_b", "run-2"]


def test_neither_tensorflow_nor_a_package_beside_the_results_is_imported():
    script = (
        "import sys, dashboard.server, dashboard.__main__\n"
        "print([name for name in ('tensorflow', 'reverb', 'launch', 'agents', 'environments', "
        "'replay') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_events_that_the_page_has_never_heard_of_are_told_briefly(tmp_path):
    with RecordWriter(tmp_path, "events", "tune") as events:
        choice = {
            "event": "configuration_chosen",
            "method": "iw",
            "configuration": {"episodes": 40},
            "score": 12.345678,
        }
        events.append({**choice, "snapshot": 3})
    shown = json.dumps(refreshed([tmp_path], "?tab=fleet"), default=str)
    assert "configuration chosen: method" in shown
    assert "score 12.35" in shown
    assert "episodes" not in shown


def test_finding_reward_is_left_out_where_all_runs_found_it_in_their_first_episode(run_dir):
    assert "after found" in json.dumps(refreshed([run_dir], ""), default=str)
    for file in (run_dir / "results" / "adaptation").iterdir():
        file.write_text(file.read_text().replace('"found":false', '"found":true'))
    content = json.dumps(refreshed([run_dir], "?quantity=found"), default=str)
    assert "after found" not in content
    assert "all runs found reward in their first episode" in content

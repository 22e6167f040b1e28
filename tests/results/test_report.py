from __future__ import annotations

import html
import html.parser
import json
import os
import pathlib
import subprocess
import sys

import pytest

from results import conclusion, costs, report, store, summary, table
from results import page as pages

HOSTILE_ENVIRONMENT = "<b>navigation</b>"
HOSTILE_METHOD = "</script><img src=x>"


@pytest.fixture
def run_dir(tmp_path, write_run) -> pathlib.Path:
    write_run(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="module")
def page(tmp_path_factory, write_run) -> pathlib.Path:
    run_dir = tmp_path_factory.mktemp("runs") / "run"
    write_run(run_dir, environment=HOSTILE_ENVIRONMENT, extra_method=HOSTILE_METHOD)
    return report.write_report(summary.summarise(run_dir), run_dir)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "results.report", *arguments], capture_output=True, text=True
    )


def test_a_sentence_says_what_the_table_means(run_dir):
    shown = command(f"--run_dir={run_dir}")
    assert shown.returncode == 0, shown.stderr
    assert (
        "shared_q_iw returns 2.0 in its first episode and 9.3 in the last three of 4; without "
        "adapting (prior) it would be "
    ) in " ".join(shown.stdout.split())
    assert (run_dir / "report.html").resolve().as_uri() in shown.stdout


@pytest.fixture
def write_short_run(tmp_path, write_run, adaptation_records):
    """Returns a function that writes a run whose methods adapt for so many episodes."""

    def write(**episodes: int) -> summary.Summary:
        write_run(tmp_path / "short")
        (file,) = (tmp_path / "short" / "results" / "adaptation").iterdir()
        kept = file.read_text().splitlines(keepends=True)
        file.write_text("".join(line for line in kept if '"validation"' in line))
        with store.RecordWriter(tmp_path / "short", "adaptation", "evaluator/0") as writer:
            for method, number in episodes.items():
                returns = [1.0, 4.0, 7.0, 10.0][:number]
                for task in (0, 1):
                    writer.extend(adaptation_records(returns, task=task, method=method))
        return summary.summarise(tmp_path / "short")

    return write


@pytest.mark.parametrize(
    ("episodes", "heading", "differences", "axis", "words"),
    [
        (
            {"prior": 1, "shared_q_iw": 1},
            "last episode ±",
            "last episode",
            "last episode",
            "shared_q_iw returns 1.0 in its only episode; without",
        ),
        (
            {"prior": 2, "shared_q_iw": 2},
            "last 2 ±",
            "last 2 episodes",
            "last 2 episodes",
            "returns 1.0 in its first episode and 2.5 on average over both; without",
        ),
        (
            {"prior": 2, "shared_q_iw": 4},
            "last 2–3 ±",
            "last 2–3 episodes",
            "last 3 episodes",
            "returns 1.0 in its first episode and 7.0 in the last three of 4; without",
        ),
    ],
)
def test_with_fewer_than_three_episodes_all_labels_say_how_many_there_are(
    write_short_run, episodes, heading, differences, axis, words
):
    result = write_short_run(**episodes)
    shown = table.format_table(result)
    assert f"  {heading} 95%  " in shown
    assert f"Differences in the {differences} (95% interval" in shown
    assert words in conclusion.conclusion(result)
    assert result.adaptation_figure.title == f"return, mean of the {axis}"
    assert f"each run's {axis}, mean" in result.adaptation_figure.caption
    content = pages.format_page(result)
    assert f"<th>{heading} 95%</th>" in content
    assert f"<h2>Differences in the {differences}</h2>" in content
    explained = f"{heading.removesuffix(' ±').capitalize()}: mean of each run's {differences} ±"
    assert explained in html.unescape(content)


@pytest.mark.parametrize("at_once", [False, True])
def test_found_is_shown_unless_every_step_pays_so_that_it_means_nothing(
    tmp_path, write_run, adaptation_records, at_once
):
    run_dir = tmp_path / "run"
    write_run(run_dir)
    (file,) = (run_dir / "results" / "adaptation").iterdir()
    if at_once:
        file.write_text(file.read_text().replace('"found":false', '"found":true'))
    result = summary.summarise(run_dir)
    shown, path = table.format_table(result), report.write_report(result, run_dir)
    content = path.read_text()
    assert ("  found  " in shown) == (not at_once)
    for text in ("<th>found</th>", "<th>after found</th>", "Found: share", "Finding reward"):
        assert (text in content) == (not at_once)
    assert (run_dir / "figures" / "found.png").exists() == (not at_once)
    assert "<th>AUC</th>" in content
    assert "AUC: mean progress" in content


def test_the_first_picture_on_a_machine_says_nothing_of_fonts(run_dir, tmp_path):
    variables = {**os.environ, "MPLCONFIGDIR": str(tmp_path / "fonts")}
    program = [sys.executable, "-m", "results.report", f"--run_dir={run_dir}"]
    shown = subprocess.run(program, capture_output=True, text=True, env=variables)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert list((tmp_path / "fonts").glob("fontlist*"))


def test_the_json_line_has_the_numbers_worked_out_by_hand(run_dir):
    spent = {"event": costs.ADAPTED, "split": "test", "snapshot": 200, "cpu_seconds": 2.5}
    beat = {"node": "learner-0", "host": "h", "pid": 1, "memory_mib": 1.0, "counters": {}}
    with store.RecordWriter(run_dir, "events", "evaluate") as writer:
        writer.append({**spent, "method": "shared_q_iw"})
    with store.RecordWriter(run_dir, "heartbeats", "learner-0") as writer:
        writer.append({**beat, "cpu_seconds": 7.5})
    line = report.as_json(summary.summarise(run_dir))
    assert "\n" not in line
    result = json.loads(line)
    methods = result.pop("methods")
    assert result == {
        "environment": "sparse_navigation",
        "experts_return": 11.0,
        "prior_return": 1.0,
        "snapshot_step": 200,
        "learner_steps": 300,
        "environment_steps": 3000,
        "training_minutes": 3.5,
        "training_cpu_seconds": 7.5,
    }
    assert list(methods) == ["prior", "shared_q_iw"]
    # Returns in the first episode 1, 1, 3, 3: s = √(4/3). Each run's last three average 9, 23/3, 11
    # and 29/3.
    method = methods["shared_q_iw"]
    half_width = 1.96 * (4 / 3) ** 0.5 / 2
    assert method["ci95_by_episode"][0] == pytest.approx([2 - half_width, 2 + half_width])
    assert len(method.pop("ci95_by_episode")) == 4
    half_width = 1.96 * (52 / 27 / 4) ** 0.5  # s² = (1/9 + 25/9 + 25/9 + 1/9)/3 = 52/27
    assert method.pop("last3_ci95") == pytest.approx([28 / 3 - half_width, 28 / 3 + half_width])
    assert method.pop("last3_mean") == pytest.approx(28 / 3)
    assert method.pop("iqm") == pytest.approx(28 / 3)
    assert method.pop("auc") == pytest.approx(0.65)
    assert method == {
        "n": 4,
        "by_episode": [2.0, 6.0, 10.0, 12.0],
        "found_share_by_episode": [0.5, 1.0, 1.0, 1.0],
        "episodes_to_90_percent": None,
        "return_after_found": None,
        "td_error": 0.25,
        "cpu_seconds": 2.5,
    }


def test_a_claim_compares_the_same_tasks_and_seeds(run_dir):
    (claim,) = summary.summarise(run_dir).claims
    assert (claim.method, claim.baseline, claim.runs, claim.verdict) == (
        "shared_q_iw",
        "prior",
        4,
        "higher",
    )
    assert claim.difference.mean == pytest.approx(25 / 3)
    # the two tasks' own differences
    assert claim.difference.interval == pytest.approx((22 / 3, 28 / 3))


def test_the_snapshot_that_was_selected_once_stays_selected(run_dir):
    with store.RecordWriter(run_dir, "events", "launcher") as writer:
        writer.append({"event": "snapshot_selected", "snapshot": 100, "score": 4.0})
    result = summary.summarise(run_dir)
    assert result.selected.snapshot == 100
    assert [list(method.by_episode) for method in result.methods] == [[50.0, 50.0]]


def test_incomplete_runs_and_older_configurations_are_left_out_and_named(
    run_dir, adaptation_records
):
    with store.RecordWriter(run_dir, "adaptation", "evaluator/0") as writer:
        writer.extend(adaptation_records([7, 7, 7, 7], task=0, configuration="second"))
        writer.extend(adaptation_records([7, 7, 7, 7], task=1, configuration="second")[:2])
        writer.extend(adaptation_records([1, 1, 1, 1], task=0, method="iw")[:2])
    result = summary.summarise(run_dir)
    assert {method.method: method.n for method in result.methods} == {"prior": 4, "shared_q_iw": 1}
    assert result.notes == (
        "shared_q_iw was tested in several configs: the newest, second, is shown; others "
        "are first.",
        "shared_q_iw is incomplete: 1 of 4 runs have all their episodes.",
        "iw is incomplete: 0 of 4 runs have all their episodes.",
    )
    assert result.notes[1] in table.format_table(result)


def test_faults_of_the_shown_runs_are_counted_and_named(run_dir, adaptation_records):
    with store.RecordWriter(run_dir, "adaptation", "evaluator/0") as writer:
        episodes = adaptation_records([9, 9, 9, 9], task=1, seed=1, attempt="2", failed_starts=1)
        writer.extend(
            {**record, "fault": "RuntimeError: it broke"} if record["episode"] > 2 else record
            for record in episodes
        )
    notes = summary.summarise(run_dir).notes
    assert notes == (
        "shared_q_iw: faults cut short 2 of 16 episodes, the first by RuntimeError: it broke",
        "shared_q_iw: the environment failed to start an episode 4 times before it did.",
    )


def test_another_split_is_reported_without_touching_the_page(run_dir, adaptation_records):
    assert "launch.evaluate --run_dir=" in command(f"--run_dir={run_dir}", "--split=train").stderr
    with store.RecordWriter(run_dir, "adaptation", "evaluator/0") as writer:
        writer.extend(adaptation_records([2, 4, 6], split="train", td_error=0.5))
    shown = command(f"--run_dir={run_dir}", "--split=train", "--json")
    method = json.loads(shown.stdout)["methods"]["shared_q_iw"]
    assert (method["n"], method["last3_mean"], method["td_error"]) == (1, 4.0, 0.5)
    assert "shared_q_iw" in command(f"--run_dir={run_dir}", "--split=train").stdout
    assert not (run_dir / "report.html").exists()


def test_training_that_went_on_after_its_end_has_not_finished(run_dir):
    spent = {"environment_steps": 3000, "cpu_seconds": None}
    finished = summary.Training(300, 3.5, "learner_steps", **spent)
    assert summary.summarise(run_dir).training == finished
    with store.RecordWriter(run_dir, "training", "learner") as writer:
        writer.append(
            {"learner_steps": 400, "minutes": 4.5, "training_return": None, "metrics": {}}
        )
    assert summary.summarise(run_dir).training == summary.Training(400, 4.5, None, **spent)


def test_the_table_is_aligned_and_fits_100_columns(run_dir):
    lines = table.format_table(summary.summarise(run_dir)).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0] == "sparse_navigation: snapshot 200, validation score 6.00"
    header, rule, *methods = lines[5:9]
    assert header.split("  ")[0] == "method"
    assert {len(line) for line in methods} == {len(header)} == {len(rule)}
    assert "9.33 ± 1.36" in methods[1]


def test_the_columns_follow_the_number_of_episodes():
    assert table.episode_columns(10) == [(1, 1), (2, 2), (3, 3)]
    assert table.episode_columns(20) == [(1, 3), (13, 15)]
    assert table.episode_columns(40) == [(1, 3), (13, 15), (28, 30)]


class Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data if len(data) < 10_000 else ""  # all but plotly.js


def test_the_page_loads_nothing_and_shows_foreign_text_as_text(page):
    content = page.read_text()
    parser = Tags()
    parser.feed(content)
    names = [tag for tag, _ in parser.tags]
    assert not {"link", "img", "iframe", "b"} & set(names)
    assert not any({"src", "href"} & attributes.keys() for _, attributes in parser.tags)
    assert any(
        "default-src 'none'" in (attributes.get("content") or "") for _, attributes in parser.tags
    )
    assert f"Adaptation on {HOSTILE_ENVIRONMENT}" in parser.text
    assert HOSTILE_METHOD in parser.text
    assert content.count("* plotly.js v") == 1


def test_the_figures_are_files_of_their_kind_and_nothing_temporary_stays(page):
    folder = page.parent / "figures"
    assert sorted(path.name for path in folder.iterdir()) == [
        "adaptation.png",
        "adaptation.svg",
        "found.png",
        "training.png",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in folder.glob("*.png"))
    assert "<svg" in (folder / "adaptation.svg").read_text()
    assert sorted(path.name for path in page.parent.iterdir()) == [
        "figures",
        "report.html",
        "results",
        "run.json",
    ]


def test_the_command_prints_one_line_of_json_and_writes_nothing(run_dir):
    done = command(f"--run_dir={run_dir}", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == report.as_json(summary.summarise(run_dir)) + "\n"
    assert sorted(path.name for path in run_dir.iterdir()) == ["results", "run.json"]


def test_the_command_refuses_a_missing_run_in_one_line_with_exit_code_2(tmp_path):
    done = command(f"--run_dir={tmp_path / 'nowhere'}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "there is no folder" in done.stderr


def test_bad_run_directories_are_refused_with_the_reason_and_the_fix(tmp_path, run_dir):
    with pytest.raises(
        summary.RunDirectoryError, match=r"not a run directory, it has no run\.json: pass --run_dir"
    ):
        summary.summarise(tmp_path)
    for evaluation in (run_dir / "results" / "adaptation").iterdir():
        lines = evaluation.read_text().splitlines(keepends=True)
        evaluation.write_text("".join(line for line in lines if '"validation"' in line))
    with pytest.raises(
        summary.RunDirectoryError, match=r"finish it with `python -m launch\.evaluate"
    ):
        summary.summarise(run_dir)
    (run_dir / "run.json").write_text("{}")
    with pytest.raises(summary.RunDirectoryError, match=r"identity\.environment"):
        summary.summarise(run_dir)

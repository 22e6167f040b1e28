"""Drives a real headless Chromium the way a reader would."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import werkzeug.serving
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from dashboard.live_run import named_runs
from dashboard.server import Dashboard

BINARY = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
_SECONDS = 60.0  # timeout on a busy machine
_QUIET = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
    "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--window-size=1366,768",
)  # fmt: skip


@contextlib.contextmanager
def started(profile: pathlib.Path) -> Iterator[webdriver.Chrome]:
    """Yields a browser with its own profile; downloads go to the profile's folder `downloads`."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(BINARY)
    for argument in (*_QUIET, f"--user-data-dir={profile / 'profile'}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        folder = str(profile / "downloads")
        browser.execute_cdp_cmd(
            "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": folder}
        )
        yield browser
    finally:
        browser.quit()


@contextlib.contextmanager
def served(run_dirs: Sequence[pathlib.Path]) -> Iterator[str]:
    """Yields the address of a dashboard of run directories."""
    server = werkzeug.serving.make_server(
        "127.0.0.1", 0, Dashboard(named_runs(run_dirs)).flask, threaded=True
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()


class Page:
    """The dashboard in a browser."""

    def __init__(self, browser: webdriver.Chrome, address: str):
        self.browser = browser
        self.address = address

    def open(self, query: str = "") -> None:
        """Opens the page with a query and waits for its first panel."""
        self.browser.get(f"{self.address}{query}")
        self.until(
            "return document.querySelectorAll('.panel.charted, .panel.filled, "
            ".panel.is-waiting').length"
        )

    def run(self, script: str, *arguments: Any) -> Any:
        """Runs a script in the page and returns its result."""
        return self.browser.execute_script(script, *arguments)

    def until(self, script: str, *arguments: Any) -> Any:
        """Waits until a script returns a true value, and returns it."""
        return WebDriverWait(self.browser, _SECONDS, 0.1).until(
            lambda _: self.run(script, *arguments), message=script
        )

    def text(self, selector: str) -> str:
        """Returns the text of the first element that a selector matches."""
        return str(
            self.run(
                "return (document.querySelector(arguments[0]) || {innerText: ''}).innerText",
                selector,
            )
        )

    def choose(self, control: str, label: str) -> None:
        """Clicks an option of a control."""
        clicked = self.run(
            "const found = [...document.querySelectorAll(`#choose-${arguments[0]} label`)].find(e "
            "=> e.innerText === arguments[1]);"
            "if (found) found.querySelector('input').click(); return Boolean(found)",
            control,
            label,
        )
        assert clicked, f"no {label} in {control}"

    def drawn(self, panel: str) -> dict[str, Any]:
        """Waits for a panel's chart; returns its lines' names and values, and its axes."""
        found: dict[str, Any] = self.until(
            """
            const chart = document.querySelector(`.charted #graph-${arguments[0]} .js-plotly-plot`);
            if (!chart || !chart._fullLayout || !chart.querySelector('.trace path')) return null;
            return {
              names: chart.data.filter(t => t.showlegend !== false).map(t => t.name),
              y: chart.data.map(t => [...t.y]),
              title: chart._fullLayout.yaxis.title.text,
              range: [...chart._fullLayout.xaxis.range],
            }
            """,
            panel,
        )
        return found

    def errors(self) -> list[str]:
        """Returns the console's errors since the last call."""
        return [
            entry["message"]
            for entry in self.browser.get_log("browser")
            if entry["level"] in ("SEVERE", "WARNING")
        ]

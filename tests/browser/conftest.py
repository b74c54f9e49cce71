"""A real JupyterLab in a real browser: a server on a free port, copies of the lectures, Chromium.

`lab.open(stem)` opens a lecture in a fresh kernel and returns a `Sheet`, what a learner sees of it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from datahall import guard
from datahall.course import catalogue, warm
from datahall.course.notebooks import normalise

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "build" / "browser"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "No Chromium was found. Install it with: sudo apt-get install chromium"
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
SETTINGS = {
    # Every cell stays in the page, so that a test finds it; news and tips would cover the page.
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
ERROR = '.jp-RenderedText[data-mime-type="application/vnd.jupyter.error"]'
# Every code cell has its number, or one has failed.
ALL_RAN = f"""() => document.querySelector('{ERROR}') ||
    [...document.querySelectorAll('.jp-CodeCell .jp-InputArea-prompt')]
        .every(prompt => /\\[\\d+\\]:/.test(prompt.textContent))"""
# The picture and the words of a panel, as an element handle sees them.
STATE = """panel => [panel.querySelector('.datahall-picture')?.src ?? '',
                      panel.querySelector('.datahall-text')?.textContent ?? '']"""
REDRAWN = (
    f"([panel, picture]) => {{ const [src] = ({STATE})(panel); return src && src !== picture }}"
)
CHANGED = f"""([panel, picture, words]) => {{
    const [src, text] = ({STATE})(panel);
    return src && src !== picture && text !== words; }}"""


class Sheet:
    """A lecture, open in JupyterLab."""

    def __init__(self, page: Any, stem: str) -> None:
        self.page = page
        self.stem = stem
        self.failures: list[str] = []
        page.on("pageerror", lambda error: self.failures.append(str(error)))

    def run_all(self, *, seconds: float) -> None:
        """Choose *Run All Cells* from the menu, and wait until every cell has its number."""
        page = self.page
        page.locator(".jp-StatusBar-Widget", has_text="| Idle").first.wait_for(timeout=60_000)
        page.locator(".lm-MenuBar-itemLabel", has_text="Run").first.click()
        page.locator(".lm-Menu-itemLabel", has_text="Run All Cells").first.click()
        page.wait_for_function(ALL_RAN, timeout=seconds * 1000)

    def errors(self) -> list[str]:
        """Return what went wrong: outputs of cells, and scripts of the page."""
        return [text[:600] for text in self.page.locator(ERROR).all_inner_texts()] + self.failures

    def cell(self, name: str) -> Any:
        """Return the cell of that id."""
        ids = [cell.id for cell in normalise.read(ROOT / "notebooks" / f"{self.stem}.ipynb").cells]
        return self.page.locator(".jp-Notebook .jp-Cell").nth(ids.index(name))

    def save(self) -> None:
        """Save the notebook, and wait until the file has it."""
        self.page.keyboard.press("Escape")
        self.page.keyboard.press("Control+s")
        self.page.locator(".jp-mod-dirty").wait_for(state="detached", timeout=30_000)

    def panels(self) -> list[Any]:
        """Return the widgets to explore, in order."""
        return list(self.page.locator(".datahall-panel").all())

    def photograph(self, panel: Any, name: str) -> None:
        """Save a picture of a panel under build/browser."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        panel.screenshot(path=PICTURES / f"{self.stem}-{name}.png")

    def note(self, line: str) -> None:
        """Keep a measurement beside the pictures."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        with (PICTURES / "moves.txt").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def wait_for_words(self, place: Any, before: str, *, seconds: float = 30) -> str:
        """Wait until a place says something else than `before`; return it."""
        changed = "([place, before]) => place.textContent.trim() !== before"
        self.page.wait_for_function(
            changed, arg=[place.element_handle(), before], timeout=seconds * 1000
        )
        return str(place.text_content()).strip()

    def wait_for_picture(self, panel: Any, before: list[str], *, seconds: float = 30) -> None:
        """Wait until the picture differs from `before`."""
        handle = panel.element_handle()
        self.page.wait_for_function(REDRAWN, arg=[handle, before[0]], timeout=seconds * 1000)

    def settled(self, panel: Any, *, quiet_s: float = 1.0) -> list[str]:
        """Wait until the panel has stayed the same for a while; return its state."""
        now, last = self.state(panel), []
        while now != last:
            self.page.wait_for_timeout(quiet_s * 1000)
            now, last = self.state(panel), now
        return now

    def wait_for_change(self, panel: Any, before: list[str], *, seconds: float = 30) -> list[str]:
        """Wait until picture and words both differ from `before`; return the new ones."""
        handle = panel.element_handle()
        self.page.wait_for_function(CHANGED, arg=[handle, *before], timeout=seconds * 1000)
        return self.state(panel)

    def state(self, panel: Any) -> list[str]:
        """Return the picture's address and the words beside it."""
        return list(panel.evaluate(STATE))


class Lab:
    """A JupyterLab server on this machine, with its own folder, data folder and settings."""

    def __init__(self, folder: Path, zygotes: dict[str, str]) -> None:
        self.folder, self.zygotes = folder, zygotes
        self.token = secrets.token_hex(16)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = (folder / "server.log").open("w")
        self.process = subprocess.Popen(
            self._command(), cwd=folder, env=self._environment(), stdout=self.log, stderr=self.log
        )
        self._wait()

    def open(self, browser: Any, stem: str, **parameters: Any) -> Sheet:
        """Open a lecture, with other parameters if some are given."""
        self._copy(stem, parameters)
        return self.reopen(browser, stem)

    def reopen(self, browser: Any, stem: str) -> Sheet:
        """Open a lecture as it was left."""
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        sheet = Sheet(page, stem)
        page.goto(f"{self.address}/lab/tree/notebooks/{stem}.ipynb?token={self.token}&reset")
        page.locator(".jp-Notebook").wait_for(timeout=60_000)
        return sheet

    def close_kernels(self) -> None:
        """End every kernel, so that the next lecture has the machine for itself."""
        for session in json.loads(self._ask("GET", "api/sessions")):
            self._ask("DELETE", f"api/sessions/{session['id']}")

    def stop(self) -> None:
        """End the server and its kernels."""
        if self.process.poll() is None:
            self.close_kernels()
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()

    @property
    def address(self) -> str:
        """Where the server listens."""
        return f"http://127.0.0.1:{self.port}"

    def _command(self) -> list[str]:
        options = {
            "ServerApp.root_dir": self.folder,
            "ServerApp.ip": "127.0.0.1",
            "ServerApp.port": self.port,
            "ServerApp.port_retries": 0,
            "ServerApp.allow_root": True,
            "IdentityProvider.token": self.token,
            "LabApp.user_settings_dir": self._settings(),
            "LabApp.workspaces_dir": self.folder / "workspaces",
            "LabApp.extension_manager": "readonly",
        }
        flags = [f"--{name}={value}" for name, value in options.items()]
        return [sys.executable, "-m", "jupyterlab", "--no-browser", *flags]

    def _environment(self) -> dict[str, str]:
        """Return a learner's environment: a reader is there, and a data folder of its own."""
        dropped = ("DATAHALL_HEADLESS", "DATAHALL_STRICT", "MPLBACKEND")
        kept = {name: value for name, value in os.environ.items() if name not in dropped}
        places = {
            **self.zygotes,
            "JUPYTER_DEFAULT_PROVISIONER_NAME": "datahall-warm",
            "DATAHALL_HOME": self.folder / "home",
            "IPYTHONDIR": guard.prepare(self.folder / "ipython"),
            "JUPYTER_CONFIG_DIR": self.folder / "config",
            "JUPYTER_DATA_DIR": self.folder / "data",
            "JUPYTER_RUNTIME_DIR": self.folder / "runtime",
        }
        return kept | {name: str(path) for name, path in places.items()}

    def _settings(self) -> Path:
        folder = self.folder / "settings"
        for name, values in SETTINGS.items():
            path = folder / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values), encoding="utf-8")
        return folder

    def _copy(self, stem: str, parameters: dict[str, Any]) -> None:
        nb = normalise.read(ROOT / "notebooks" / f"{stem}.ipynb")
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
            if cell.id == "parameters":
                for name, value in parameters.items():
                    line = rf"(?m)^({name}\b[^=\n]*=)[^#\n]*"
                    cell.source = re.sub(line, rf"\1 {value!r}  ", cell.source)
        target = self.folder / "notebooks" / f"{stem}.ipynb"
        target.parent.mkdir(exist_ok=True)
        target.write_text(normalise.text_of(nb), encoding="utf-8")

    def _ask(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(  # noqa: S310 (our own server)
            f"{self.address}/{path}",
            method=method,
            headers={"Authorization": f"token {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=20) as reply:  # noqa: S310
            return bytes(reply.read())

    def _wait(self, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            try:
                self._ask("GET", "api/status")
            except OSError:
                time.sleep(0.2)
            else:
                return
        text = (self.folder / "server.log").read_text()[-2000:]
        self.stop()
        pytest.fail(f"JupyterLab did not start:\n{text}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, headless; the test is skipped, naming the command, where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(MISSING)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[Lab]:
    """JupyterLab with nothing open, and with warm kernels as `datahall lab` has them."""
    with warm.zygotes() as held:
        started = Lab(tmp_path_factory.mktemp("lab"), held)
        yield started
        started.stop()


@pytest.fixture
def opened(lab: Lab, browser: Any, request: pytest.FixtureRequest) -> Iterator[Sheet]:
    """The lecture named by the test's parameter, all cells run with its smoke parameters."""
    stem = request.param
    entry = catalogue.load().find(stem)[0]
    sheet = lab.open(browser, stem, **entry.presets.get("smoke", {}))
    sheet.run_all(seconds=240)
    yield sheet
    sheet.page.close()
    lab.close_kernels()

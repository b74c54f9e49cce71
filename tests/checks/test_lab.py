"""`datahall lab`: what is opened, and a real JupyterLab that serves the learner's copies."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import psutil
import pytest

from datahall.course import catalogue
from datahall.course.exits import InputError
from datahall.course.labs import lab
from datahall.course.labs.copies import Desk

from .labs import SOLVED, STEM, checkout
from .labs import lab as lab_of

pytestmark = pytest.mark.processes

TOKEN = "a-token-for-this-test"  # noqa: S105 (it opens a server on loopback for some seconds)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(port, path, *, method="GET", body=None):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"token {TOKEN}"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        return json.load(answer)


@contextlib.contextmanager
def serving(line, environment, folder, port):
    """Run a command that becomes a server, and stop it afterwards."""
    with subprocess.Popen(
        line,
        env=environment | {"JUPYTER_TOKEN": TOKEN},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as server:
        try:
            wait_for(server, port)
            yield server
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()


def wait_for(server, port):
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            ask(port, "/api/status")
            return
        time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start: {server.stderr.read().decode()[-2000:]}")


def test_jupyterlab_opens_and_saves_the_copy_in_the_place_of_the_lab(tmp_path):
    desk = Desk(checkout(tmp_path / "course"), tmp_path / "outside" / ".hidden" / "work")
    pristine = (desk.root / "labs" / f"{STEM}.ipynb").read_bytes()
    port = free_port()
    line = lab.command(desk, desk.root, browser=False, port=port)
    with serving(line, lab.surroundings(desk), desk.root, port):
        model = ask(port, f"/api/contents/labs/{STEM}.ipynb?content=1")
        copy = desk.current(STEM)
        assert copy is not None and model["content"]["metadata"]["datahall"]["copy_of"] == STEM
        changed = {"type": "notebook", "content": json.loads(nbformat.writes(lab_of(SOLVED)))}
        ask(port, f"/api/contents/labs/{STEM}.ipynb", method="PUT", body=changed)
        assert nbformat.read(copy, 4).cells[3].source == SOLVED
        ask(port, f"/api/contents/labs/{STEM}.ipynb/checkpoints", method="POST", body={})
        names = {item["name"] for item in ask(port, "/api/contents/labs")["content"]}
        assert names == {f"{STEM}.ipynb"}
        news = "/lab/api/settings/@jupyterlab/apputils-extension:notification"
        settings = json.dumps(ask(port, news)["schema"]["properties"]["fetchNews"])
        assert '"default": "false"' in settings
    assert (desk.root / "labs" / f"{STEM}.ipynb").read_bytes() == pristine
    files = [path for path in desk.root.rglob("*") if path.is_file()]
    assert len(files) == 2  # nothing was written into the checkout


def test_the_verb_becomes_the_server_and_has_made_the_copy(tmp_path):
    port, root = free_port(), catalogue.repository_root()
    line = [sys.executable, "-m", "datahall.course.cli", "lab", "01_convolution_lab"]
    line += ["--no-browser", "--port", str(port)]
    environment = os.environ | {"DATAHALL_WORK": str(tmp_path), "PYTHONPATH": str(root)}
    with serving(line, environment, tmp_path, port) as server:
        running = psutil.Process(server.pid).cmdline()
        assert "jupyterlab" in running
        model = ask(port, "/api/contents/labs/01_convolution_lab.ipynb?content=1")
    copy = tmp_path / "01_convolution_lab.ipynb"
    assert copy.is_file() and model["content"]["metadata"]["datahall"]["sha256"]


@pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")
def test_kernels_of_jupyterlab_are_forked_and_end_with_the_server_even_when_it_is_killed(tmp_path):
    port = free_port()
    line = [sys.executable, "-m", "datahall.course.cli", "lab", "--no-browser", "--port", str(port)]
    environment = os.environ | {"DATAHALL_WORK": str(tmp_path), "TMPDIR": str(tmp_path)}
    environment.pop("PYTHONPATH", None)
    with serving(line, environment, tmp_path, port) as server:
        specs = ask(port, "/api/kernelspecs")["kernelspecs"]
        assert specs["datahall-warm"]["spec"]["display_name"] == "Datahall (warm)"
        for kernel, path in (("python3", "labs/01_convolution_lab.ipynb"), ("datahall-warm", "x")):
            session = {"path": path, "name": path, "type": "notebook", "kernel": {"name": kernel}}
            ask(port, "/api/sessions", method="POST", body=session)
        tree = psutil.Process(server.pid).children(recursive=True)
        zygotes = [process for process in tree if process.parent().pid == server.pid]
        assert len(tree) == 3 and len(zygotes) == 1, [process.cmdline() for process in tree]
        assert "plain" in zygotes[0].cmdline()
        server.kill()
        gone, left = psutil.wait_procs(tree, timeout=5)
        assert len(gone) == 3 and not left
    assert not list(tmp_path.glob("datahall-warm-*"))


def test_the_server_keeps_bytecode_and_asks_for_no_news(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/mine")
    monkeypatch.setenv("JUPYTER_PATH", "/mine, too")
    environment = lab.surroundings(Desk(tmp_path, tmp_path / "work"))
    assert environment["JUPYTER_PATH"].split(os.pathsep)[1] == "/mine, too"
    assert "PYTHONDONTWRITEBYTECODE" not in environment and "DATAHALL_HEADLESS" not in environment
    first, second = environment["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert (Path(first) / "labconfig" / "default_setting_overrides.json").is_file()
    assert second == "/mine"


def test_the_command_line_says_what_is_opened(tmp_path):
    desk = Desk(checkout(tmp_path / "course"))
    copy = desk.open(STEM)
    line = lab.command(desk, copy, browser=False, port=8899)
    assert copy.relative_to(desk.root) == Path("work", f"{STEM}.ipynb")
    assert f"--LabApp.default_url=/lab/tree/{copy.relative_to(desk.root).as_posix()}" in line
    assert "--no-browser" in line and "--ServerApp.port=8899" in line
    assert ("--allow-root" in line) == (os.geteuid() == 0)
    outside = Desk(desk.root, tmp_path / "elsewhere")
    line = lab.command(outside, outside.fresh(STEM), browser=True, port=0)
    assert f"--LabApp.default_url=/lab/tree/labs/{STEM}.ipynb" in line
    assert not {"--no-browser", "--ServerApp.port=0"} & set(line)
    lecture = outside.open("99_places", "notebooks")  # where the checkout cannot be written
    line = lab.command(outside, lecture, browser=True, port=0)
    assert "--LabApp.default_url=/lab/tree/notebooks/99_places.ipynb" in line
    with pytest.raises(InputError, match=r"mine\.ipynb is no copy of a notebook in"):
        lab.command(outside, tmp_path / "elsewhere" / "mine.ipynb", browser=True, port=0)


def test_a_module_opens_its_first_lecture(tmp_path):
    desk = Desk(catalogue.repository_root(), tmp_path)
    chosen = lab.prepare(desk, "convolution", fresh=False, reset=None)
    assert chosen == desk.root / "notebooks" / "01_convolution.ipynb"
    assert lab.prepare(desk, None, fresh=False, reset=None) == desk.root


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"notebook": "99"}, "no module or notebook of the course"),
        ({"notebook": None, "fresh": True}, "--fresh needs the lab to copy"),
        ({"notebook": "00", "fresh": True}, "has no lab"),
        ({"notebook": None, "reset": "99.1"}, "no module or notebook of the course"),
    ],
)
def test_bad_input_says_what_to_write(tmp_path, words, said):
    desk = Desk(catalogue.repository_root(), tmp_path)
    with pytest.raises(InputError, match=said):
        lab.prepare(desk, words.pop("notebook"), **{"fresh": False, "reset": None, **words})

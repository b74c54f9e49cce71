"""`datahall lab`: what is opened, and a real JupyterLab that serves the learner's copies."""

import contextlib
import functools
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
from datahall.course.exits import InputError, MachineError
from datahall.course.labs import home, lab
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
        text = answer.read()
    return json.loads(text) if text else None


@contextlib.contextmanager
def serving(line, environment, folder, port):
    """Run a command that becomes a server, and stop it afterwards."""
    said = folder / "said.txt"
    with (
        said.open("w") as screen,
        subprocess.Popen(
            line,
            env=environment | {"JUPYTER_TOKEN": TOKEN},
            cwd=folder,
            stdout=screen,
            stderr=subprocess.STDOUT,
        ) as server,
    ):
        try:
            wait_for(server, port, said)
            yield server
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()


def wait_for(server, port, said):
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            ask(port, "/api/status")
            return
        time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start: {said.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A JupyterLab for a learner whose folder has a dot in its path: their desk, and who to ask."""
    folder = tmp_path_factory.mktemp("room")
    desk = Desk(checkout(folder / "course"), folder / "outside" / ".hidden" / "work")
    (folder / "secret.txt").write_text("outside of the course")
    (desk.root / "docs").mkdir()
    (desk.root / "docs" / "claims.md").write_text("# Claims")
    desk.work.mkdir(parents=True)
    port = free_port()
    line = lab.command(desk, desk.work / home.NAME, browser=False, port=port)
    data = {"XDG_DATA_HOME": str(folder / "data"), "DATAHALL_HOME": str(folder / "home")}
    with serving(line, lab.surroundings(desk) | data, desk.work, port):
        yield desk, functools.partial(ask, port)


def test_jupyterlab_opens_and_saves_the_learners_copy(room):
    desk, ask = room
    pristine = {path: path.read_bytes() for path in desk.root.rglob("*.ipynb")}
    for path in (f"labs/{STEM}.ipynb", "notebooks/99_places.ipynb"):
        model = ask(f"/api/contents/{path}?content=1")
        assert model["content"]["metadata"]["datahall"]["version"]
    changed = {"type": "notebook", "content": json.loads(nbformat.writes(lab_of(SOLVED)))}
    ask(f"/api/contents/labs/{STEM}.ipynb", method="PUT", body=changed)
    copy = desk.current(STEM)
    assert nbformat.read(copy, 4).cells[3].source == SOLVED
    ask(f"/api/contents/labs/{STEM}.ipynb/checkpoints", method="POST", body={})
    names = {item["name"] for item in ask("/api/contents/labs")["content"]}
    assert names == {f"{STEM}.ipynb"}
    news = "/lab/api/settings/@jupyterlab/apputils-extension:notification"
    assert '"default": "false"' in json.dumps(ask(news)["schema"]["properties"]["fetchNews"])
    assert {path: path.read_bytes() for path in desk.root.rglob("*.ipynb")} == pristine


def test_what_a_learner_deletes_or_renames_is_theirs_alone_and_nothing_is_replaced(room):
    desk, ask = room
    path, lab_file = f"labs/{STEM}.ipynb", desk.root / "labs" / f"{STEM}.ipynb"
    pristine = lab_file.read_bytes()
    ask(f"/api/contents/{path}")
    mine = {"type": "notebook", "content": json.loads(nbformat.writes(lab_of(SOLVED)))}
    ask("/api/contents/labs/mine.ipynb", method="PUT", body=mine)
    with pytest.raises(urllib.error.HTTPError, match="409"):
        ask(f"/api/contents/{path}", method="PATCH", body={"path": "labs/mine.ipynb"})
    ask(f"/api/contents/{path}", method="PATCH", body={"path": "labs/old.ipynb"})
    assert (desk.work / "labs" / "old.ipynb").is_file() and lab_file.read_bytes() == pristine
    ask("/api/contents/labs/old.ipynb", method="DELETE")
    assert lab_file.read_bytes() == pristine
    trash = [file.name for file in desk.work.parents[2].rglob("*/files/*.ipynb")]
    assert trash == ["old.ipynb"], "what is deleted is not gone"
    again = ask(f"/api/contents/{path}?content=1")
    assert again["content"]["metadata"]["datahall"]["copy_of"] == STEM


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "docs/claims.md", {"type": "file", "format": "text", "content": "mine"}),
        ("PUT", "docs/new.md", {"type": "file", "format": "text", "content": "mine"}),
        ("PATCH", "docs/claims.md", {"path": "mine.md"}),
        ("DELETE", "docs/claims.md", None),
    ],
)
def test_the_courses_documents_are_shown_and_stay_as_they_are(room, method, path, body):
    desk, ask = room
    shown = ask("/api/contents/docs/claims.md?content=1")
    assert shown["content"] == "# Claims" and not shown["writable"]
    with pytest.raises(urllib.error.HTTPError, match="403"):
        ask(f"/api/contents/{path}", method=method, body=body)
    assert [file.name for file in (desk.root / "docs").iterdir()] == ["claims.md"]
    with pytest.raises(urllib.error.HTTPError, match=r"40[034]"):
        ask("/api/contents/docs/../../secret.txt?content=1")


def test_the_home_page_is_written_when_it_is_opened(room):
    _, ask = room
    assert "[Begin: " in ask(f"/api/contents/{home.NAME}?content=1")["content"]


def test_the_verb_says_one_address_and_becomes_the_server(tmp_path):
    port, root = free_port(), catalogue.repository_root()
    line = [sys.executable, "-m", "datahall.course.cli", "lab", "01_convolution_lab"]
    line += ["--no-browser", "--port", str(port)]
    places = {"DATAHALL_WORK": str(tmp_path / "work"), "DATAHALL_HOME": str(tmp_path / "home")}
    environment = os.environ | places | {"PYTHONPATH": str(root)}
    with serving(line, environment, tmp_path, port) as server:
        assert "jupyterlab" in psutil.Process(server.pid).cmdline()
        assert TOKEN not in " ".join(psutil.Process(server.pid).cmdline())
        model = ask(port, "/api/contents/labs/01_convolution_lab.ipynb?content=1")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/contents", timeout=20)
    assert model["content"]["metadata"]["datahall"]["version"]
    words = (tmp_path / "said.txt").read_text()
    assert words.count("http://") == 1 and "Serving notebooks" not in words
    log = tmp_path / "home" / "logs" / "jupyterlab.log"
    assert "Serving notebooks" in log.read_text() and log.stat().st_mode & 0o077 == 0


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
    assert environment["JUPYTER_PATH"].split(os.pathsep)[-1] == "/mine, too"
    assert "PYTHONDONTWRITEBYTECODE" not in environment and "DATAHALL_HEADLESS" not in environment
    first, second = environment["JUPYTER_CONFIG_PATH"].split(os.pathsep)[1:]
    assert (Path(first) / "labconfig" / "default_setting_overrides.json").is_file()
    assert second == "/mine"


def test_the_command_line_says_what_is_opened(tmp_path):
    desk = Desk(checkout(tmp_path / "course"))
    copy = desk.open(STEM)
    line = lab.command(desk, copy, browser=False, port=8899)
    assert f"--LabApp.default_url=/lab/tree/labs/{STEM}.ipynb" in line
    assert f"--ServerApp.root_dir={desk.work}" in line
    assert "--no-browser" in line and "--ServerApp.port=8899" in line
    assert ("--allow-root" in line) == (os.geteuid() == 0)
    line = lab.command(desk, desk.root, browser=True, port=8899, author=True)
    assert f"--ServerApp.root_dir={desk.root}" in line
    assert not [word for word in line if "CourseContents" in word or "no-browser" in word]


def test_instructors_controls_are_there_for_authors_only(tmp_path):
    desk = Desk(tmp_path, tmp_path / "work")
    for author, disabled in ((False, True), (True, False)):
        places = lab.surroundings(desk, author=author)["JUPYTER_CONFIG_PATH"].split(os.pathsep)
        files = [Path(place) / "labconfig" / "page_config.json" for place in places]
        said = " ".join(file.read_text() for file in files if file.is_file())
        assert ("@jupyter/nbgrader" in said) == disabled


def test_a_module_opens_its_first_lecture_and_nothing_named_the_home_page(tmp_path):
    desk = Desk(catalogue.repository_root(), tmp_path)
    chosen = lab.prepare(desk, "convolution", fresh=False, reset=None)
    assert chosen == tmp_path / "notebooks" / "01_convolution.ipynb" and chosen.is_file()
    solution = lab.prepare(desk, "01_convolution_solution", fresh=False, reset=None)
    assert solution == tmp_path / "solutions" / "01_convolution_solution.ipynb"
    page = lab.prepare(desk, None, fresh=False, reset=None)
    assert page == tmp_path / home.NAME and page.is_file()


def test_a_fresh_copy_says_what_becomes_of_the_older_one(tmp_path, capsys):
    desk = Desk(catalogue.repository_root(), tmp_path)
    lab.prepare(desk, "01", fresh=True, reset=None)
    assert "a new copy: " in capsys.readouterr().out
    lab.prepare(desk, "01", fresh=True, reset=None)
    said = capsys.readouterr().out
    assert "01_convolution_lab.ipynb stays as it is" in said and "counts the best" in said


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


def test_a_port_that_is_taken_is_told_before_another_address_is_printed(tmp_path, monkeypatch):
    monkeypatch.setenv("DATAHALL_WORK", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(MachineError, match=f"Port {port} cannot be had"):
            lab.open_lab(browser=False, port=port)

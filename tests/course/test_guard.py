"""The offline guard: on in every kernel of the tests, closed to the world, open to this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from datahall import guard
from datahall.course.run import runner
from datahall.course.run.results import Results

Write = Callable[..., Path]

OUTSIDE = {
    "connects": "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=3)",
    "connects_quietly": "import socket\nsocket.socket().connect_ex(('192.0.2.1', 80))",
    "sends": "import socket\nsocket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
    "sixth": "import socket\nsocket.socket(socket.AF_INET6).connect(('2001:db8::1', 80))",
    "looks_up": "import socket\nsocket.getaddrinfo('example.org', 443)",
    "gets": "import urllib.request\nurllib.request.urlopen('http://192.0.2.1/', timeout=3)",
    "after_start": (
        "from datahall import runtime\nruntime.start()\n"
        "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=3)"
    ),
}
LOOPBACK = """
import http.server, threading, urllib.request
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://localhost:{server.server_port}/"
assert urllib.request.urlopen(address, timeout=5).status == 200
server.shutdown()
server.server_close()
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, write_notebook: Write) -> Results:
    folder = tmp_path_factory.mktemp("guard")
    paths = [write_notebook(folder / f"{name}.ipynb", code) for name, code in OUTSIDE.items()]
    paths.append(write_notebook(folder / "loopback.ipynb", LOOPBACK))
    return runner.run(paths, keep_going=True, pages=False, output_dir=folder / "out")


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_notebook_that_reaches_outside_fails_and_says_what_it_tried(
    results: Results, name: str
) -> None:
    failure = results[name].failure
    assert failure is not None
    assert failure.kind == "error"
    wanted = "the look-up of 'example.org'" if name == "looks_up" else "a connection to "
    assert "The offline guard refused" in failure.traceback
    assert wanted in failure.traceback


def test_loopback_works_in_a_guarded_kernel(results: Results) -> None:
    assert results["loopback"].status == "passed"


def test_kernels_are_free_where_the_guard_is_not_asked_for(
    tmp_path: Path, write_notebook: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATAHALL_OFFLINE_GUARD")
    code = (
        "import sys\ntry:\n    sys.audit('socket.getaddrinfo', 'example.org')\nfinally:\n    pass"
    )
    path = write_notebook(tmp_path / "free.ipynb", code)
    assert runner.run([path], pages=False, output_dir=tmp_path / "out").ok


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "::ffff:127.0.0.1",
        "0.0.0.0",  # noqa: S104 (an address to compare, not to bind)
        "::",
        b"localhost",
        "LOCALHOST",
        None,
        "",
    ],
)
def test_this_machine_is_here(host: str | bytes | None) -> None:
    assert guard.is_here(host)


@pytest.mark.parametrize(
    "host",
    [
        "192.0.2.1",
        "10.0.0.1",
        "::ffff:192.0.2.1",
        "2001:db8::1",
        "fe80::1%eth0",
        "example.org",
        "localhost.example.org",
    ],
)
def test_other_machines_are_not(host: str) -> None:
    assert not guard.is_here(host)

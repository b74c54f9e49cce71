"""A warm kernel is like a cold one: nobody can tell them apart, but by the clock."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datahall.course import warm
from datahall.course.warm import request

from .conftest import ROOT, Kernel, pytestmark, zygotes_of  # noqa: F401 (applies to every test)

FACTS = r"""
import matplotlib.pyplot, numpy.random, psutil, threadpoolctl
import json, locale, os, resource, signal, sys, tempfile, threading, time
print(json.dumps({
    "path": sys.path, "argv": [sys.argv[0], *sys.argv[1:2]], "original": sys.orig_argv[:3],
    "flags": repr(sys.flags), "options": sys._xoptions, "recursion": sys.getrecursionlimit(),
    "folder": os.getcwd(), "environment": {
        k: v for k, v in os.environ.items() if k != "DATAHALL_WARM_KIND"},
    "leads its session": os.getsid(0) == os.getpid() == os.getpgid(0),
    "umask": os.umask(0o22), "nice": os.nice(0), 
    "threads": [threading.active_count(), threading.Thread().name],
    "main": sorted(
        k for k in globals() if not k.startswith("_")), "module": sys.modules["__main__"].__name__,
    "signals": {n: repr(signal.getsignal(n)).split(" at ")[0] for n in range(1, 32)},
    "limits": [resource.getrlimit(n) for n in range(7)], "temporary": tempfile.gettempdir(),
    "encoding": [sys.stdout.encoding, locale.getpreferredencoding()], "zone": time.tzname,
    "input": os.read(0, 1).decode(), "terminal": os.isatty(0),
    "modules": sorted(sys.modules),
    "ours": [name for name in sys.modules if name.startswith("datahall")],
}))
"""


def facts(kernel):
    return json.loads(kernel.run(FACTS))


def differing(one, other):
    """Return what differs between two dictionaries, dictionaries in them included."""
    found = {}
    for name in one.keys() | other.keys():
        pair = one.get(name), other.get(name)
        if pair[0] != pair[1]:
            both = all(isinstance(value, dict) for value in pair)
            found[name] = differing(*pair) if both else pair
    return found


def test_a_warm_kernel_has_what_a_cold_one_has(start, tmp_path):
    folder = tmp_path / "an odd {name} with 'quotes', ünïcode and $HOME"
    folder.mkdir()
    variables = {
        "DATAHALL_ODD": "two\nlines, ünïcode, = and \udcff",
        "TMPDIR": str(tmp_path),
        "TZ": "Pacific/Apia",
    }
    found = {
        kind: facts(start(kind, variables=variables, cwd=str(folder))) for kind in ("plain", "cold")
    }
    assert found["plain"].pop("ours") == found["cold"].pop("ours") == []
    assert differing(found["plain"], found["cold"]) == {}
    assert found["plain"]["environment"]["DATAHALL_ODD"] == variables["DATAHALL_ODD"]
    assert found["plain"]["temporary"] == str(tmp_path) and found["plain"]["folder"] == str(folder)


def test_no_descriptor_of_the_zygote_reaches_a_kernel(start):
    code = (
        "import os\n"
        "links = [os.path.realpath(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')]\n"
        "names = {link.split('[')[0].rpartition('/')[2] for link in links}\n"
        "print(sorted(n for n in names if n.isalpha() or n.endswith(':')),\n"
        "      sum('socket' in link for link in links), sum('pidfd' in link for link in links))"
    )
    assert start().run(code) == start("cold").run(code)


def test_a_variable_that_is_gone_is_gone(held):
    variables = {name: value for name, value in os.environ.items() if name != "PATH"}
    kernel = Kernel(variables | held | {warm.KIND: "plain"}, stderr=subprocess.DEVNULL)
    code = "import os; print(os.environ.get('PATH'), os.getenv('JPY_PARENT_PID'))"
    assert kernel.warm and kernel.run(code) == f"None {os.getpid()}"
    kernel.end()


def test_interrupt_restart_and_exit_codes(start):
    kernel = start()
    kernel.client.execute("import time\nwhile True: time.sleep(0.1)", stop_on_error=False)
    time.sleep(0.5)
    kernel.manager.interrupt_kernel()
    while "ename" not in (answer := kernel.client.get_shell_msg(timeout=20)["content"]):
        pass
    assert answer["ename"] == "KeyboardInterrupt"
    assert kernel.run("print(6 * 7)") == "42"
    before = kernel.process.pid
    kernel.manager.restart_kernel(now=True)
    kernel.client.wait_for_ready(timeout=30)
    after = kernel.manager.provisioner.process
    assert kernel.warm and after.pid != before and kernel.process.returncode == -signal.SIGKILL
    kernel.client.execute("import os; os._exit(7)")
    assert after.wait(timeout=20) == 7 and after.cpu_seconds > 0 and after.peak_memory_bytes > 1e7


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import ctypes; ctypes.string_at(0)", -signal.SIGSEGV),
        ("import os, signal; os.kill(os.getpid(), signal.SIGRTMIN)", -signal.SIGRTMIN),
    ],
    ids=["killed", "crashed", "real-time signal"],
)
def test_the_signal_that_ended_a_kernel_is_known(start, code, exit_code):
    kernel = start()
    kernel.client.execute(code)
    assert kernel.process.wait(timeout=20) == exit_code


@pytest.mark.parametrize("kind", ["plain", "cold"])
def test_a_polite_end_writes_files_runs_exit_functions_and_finalizers(start, tmp_path, kind):
    kernel = start(kind)
    kernel.run(
        "import atexit, pathlib, threading, time\n"
        "class Last:\n"
        "    def __del__(self, write=pathlib.Path('deleted').write_text): write('yes')\n"
        "last, cycle = Last(), Last()\n"
        "cycle.itself = cycle\n"
        "file = open('unflushed', 'w'); file.write('whole')\n"
        "atexit.kept = open('kept', 'w'); atexit.kept.write('in a module')\n"
        "atexit.register(lambda: pathlib.Path('atexit').write_text('yes'))\n"
        "late = lambda: (time.sleep(0.3), pathlib.Path('thread').write_text('yes'))\n"
        "threading.Thread(target=late).start()\n"
    )
    kernel.client.stop_channels()
    kernel.manager.shutdown_kernel()
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found.pop("kept") == "in a module"
    assert found == {"deleted": "yes", "unflushed": "whole", "atexit": "yes", "thread": "yes"}
    assert kernel.process.returncode == 0


def test_standard_streams_go_to_files(start, tmp_path):
    with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
        kernel = start(stdout=out, stderr=err.fileno())
        kernel.run("import os; os.write(1, b'to out'); import sys; sys.__stderr__.write('to err')")
        kernel.end(now=False)
    assert "to out" in (tmp_path / "out").read_text()
    assert "to err" in (tmp_path / "err").read_text()
    with (tmp_path / "both").open("w") as both:
        kernel = start(stdout=both, stderr=subprocess.STDOUT)
        kernel.run("import os; os.write(2, b'to both')")
        kernel.end(now=False)
    assert "to both" in (tmp_path / "both").read_text()


def test_random_streams_differ_without_a_seed_and_agree_with_one(start):
    code = (
        "import random, uuid, numpy as np\n"
        "print(random.random(), np.random.random(), np.random.default_rng().random(), uuid.uuid4())"
    )
    first, second = (start().run(code).split() for _ in range(2))
    assert not set(first) & set(second)
    seeded = "from datahall import runtime; runtime.start(seed=3)\n" + code.replace(
        ", uuid.uuid4()", ""
    )
    seeded = seeded.replace("default_rng()", "default_rng(3)")
    assert start().run(seeded) == start().run(seeded) == start("cold").run(seeded)


def test_an_edited_module_is_never_stale(start, tmp_path):
    (tmp_path / "edited.py").write_text("value = 1\n")
    code = "import edited; print(edited.value)"
    assert start().run(code) == "1"
    (tmp_path / "edited.py").write_text("value = 22\n")
    assert start().run(code) == "22"


def test_no_module_of_a_kernel_can_be_edited_by_an_author(start):
    code = (
        "import sys\n"
        "files = {m: getattr(sys.modules[m], '__file__', None) or '' for m in list(sys.modules)}\n"
        f"print([m for m, f in files.items() if f.startswith({str(ROOT)!r}) and '.venv' not in f])"
    )
    assert start().run(code) == "[]"
    assert start().run("import datahall.units as units; print(units.__file__)") == str(
        ROOT / "datahall" / "units.py"
    )


def test_a_variable_that_is_read_at_import_gets_another_zygote(start, held):
    before = {process.pid for process in zygotes_of(held)}
    code = "print(hash('words'))"
    hashed = {seed: start(variables={"PYTHONHASHSEED": seed}).run(code) for seed in ("7", "8")}
    assert len({process.pid for process in zygotes_of(held)} - before) == 2
    assert hashed["7"] == start("cold", variables={"PYTHONHASHSEED": "7"}).run(code) != hashed["8"]
    full = [start(variables={"PYTHONHASHSEED": seed}) for seed in ("9", "10")]
    assert not full[-1].warm and "zygotes are held already" in full[-1].why_cold


def test_drawing_uses_the_backend_that_was_asked_for(start):
    code = (
        "import matplotlib.pyplot as plt; print(plt.get_backend().lower(), len(plt.style.library))"
    )
    for variables in ({}, {"MPLBACKEND": "svg"}):
        assert start(variables=variables).run(code) == start("cold", variables=variables).run(code)
    assert "Figure" in start().run("import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()")


@pytest.mark.parametrize(
    ("file", "why"),
    [("threadpoolctl.py", "stands before the library"), ("matplotlibrc", "has a matplotlibrc")],
)
def test_a_file_that_a_cold_kernel_reads_at_import_makes_it_cold(start, tmp_path, file, why):
    (tmp_path / file).write_text("figure.figsize: 9, 9\n" if file.endswith("rc") else "mine = 1\n")
    kernel = start()
    assert not kernel.warm and why in kernel.why_cold
    code = (
        "import threadpoolctl; print(threadpoolctl.mine)"
        if file.endswith(".py")
        else ("import matplotlib as m; print(m.rcParams['figure.figsize'][0])")
    )
    assert kernel.run(code) == ("1" if file.endswith(".py") else "9.0")


@pytest.mark.parametrize(
    ("settings", "variables", "why"),
    [
        ({"stdout": subprocess.PIPE}, {}, "stdout is a pipe"),
        ({"independent": True}, {}, "outlive"),
        ({"umask": 0o77}, {}, "it is started with umask"),
        ({}, {"PYTHONPATH": "/nowhere"}, "PYTHONPATH is set"),
        ({}, {warm.FOLDER: ""}, "nobody keeps zygotes"),
        ({}, {warm.FOLDER: "/nowhere"}, "nobody keeps zygotes"),
        ({}, {warm.FOLDER: "/usr"}, "others may enter /usr"),
        ({}, {warm.KIND: "cold"}, "asks for a cold kernel"),
    ],
    ids=["pipe", "independent", "umask", "PYTHONPATH", "off", "missing", "open", "cold"],
)
def test_where_a_fork_is_not_the_same_the_kernel_is_cold_and_says_why(
    start, settings, variables, why
):
    kernel = start(variables=variables, **settings)
    assert not kernel.warm and why in kernel.why_cold
    assert kernel.run("print(6 * 7)") == "42"
    if "stdout" in settings:
        kernel.process.stdout.close()


def test_a_folder_that_does_not_exist_is_refused_as_for_a_cold_kernel(start, tmp_path):
    for kind in ("plain", "cold"):
        with pytest.raises(FileNotFoundError):
            start(kind, cwd=str(tmp_path / "missing"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0",
        b"GET / HTTP/1.0\r\n\r\n",
        b"\0\0\0\2{}",
        b"\0\0\0\4null",
        b"\0\0\0\x3b" + b'{"command":[],"arguments":[],"environment":{"a":1},"folder":1}',
        b"\0\0\xff\xff" + b"half",
    ],
    ids=["nothing", "half a head", "another protocol", "empty", "null", "wrong types", "half"],
)
def test_a_bad_request_does_not_harm_the_zygote(start, held, content):
    first = start()
    assert first.warm
    (zygote,) = {p.pid for p in zygotes_of(held)} & {os.getppid(), *_parents(first)}
    for file in Path(held[warm.FOLDER]).glob("*.socket"):
        with request.connect(file.parent, file.name) as channel:
            channel.sendall(content)
            channel.shutdown(socket.SHUT_WR)
            answer, _ = request.receive(channel)
            assert "not understood" in answer["refused"]
    again = start()
    assert again.warm and _parents(again)[0] == zygote
    assert first.run("print(1)") == "1"


def _parents(kernel):
    return [int(kernel.run("import os; print(os.getppid())"))]


LAB = """
from datahall import runtime; runtime.start()
import sys, os, ctypes, numpy as np
sys.path.insert(0, {root!r})
from tests.checks.places import check, places
from tests.checks.test_misbehaviour import {name}
print(check()({name}).message)
print(check()(places).state)
"""


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("loops_inside_c", "did not end within 1 s and had to be killed"),
        ("leaves_by_the_back_door", "ended the process. Return the result instead."),
        ("hoards_memory", "asked for more memory than there is"),
    ],
)
def test_a_lab_on_a_warm_plain_kernel_stops_what_only_a_child_can_stop(start, name, says):
    said = start(cwd=str(ROOT)).run(LAB.format(root=str(ROOT), name=name), timeout=100)
    assert says in said and said.endswith("passed")


def test_another_environments_python_is_cold(start, tmp_path):
    folder = tmp_path / "kernels" / "other"
    folder.mkdir(parents=True)
    other = tmp_path / "python"
    other.symlink_to(sys.executable)
    spec = {"argv": [str(other), "-m", "ipykernel_launcher", "-f", "{connection_file}"]}
    spec |= {"display_name": "other", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import KernelManager

    specs = KernelSpecManager(kernel_dirs=[str(folder.parent)])
    manager = KernelManager(kernel_name="other", kernel_spec_manager=specs)
    manager.start_kernel(env=os.environ | {warm.KIND: "plain"} | {warm.FOLDER: "/nowhere"})
    assert "nobody keeps" in manager.provisioner.why_cold
    manager.shutdown_kernel(now=True)


def test_many_kernels_at_once_are_all_reaped(start, held):
    kernels = [start() for _ in range(5)]
    assert [kernel.why_cold for kernel in kernels] == [""] * 5
    for kernel in kernels:
        kernel.end()
    pids = {kernel.process.pid for kernel in kernels}
    left = [c.pid for z in zygotes_of(held) for c in z.children() if c.pid in pids]
    assert left == []

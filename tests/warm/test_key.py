"""Which kernel may come from which zygote, and which notebook asks for which."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from datahall.course import catalogue, warm
from datahall.course.exits import InputError
from datahall.course.warm import key, kinds

from .conftest import pytestmark  # noqa: F401

RECORD = """
import json, os, sys
asked = set()
class Environment(type(os.environ)):
    def __getitem__(self, name):
        asked.add(name)
        return super().__getitem__(name)
os.environ.__class__ = Environment
from datahall.course.warm import zygote
before = set(asked)
zygote.load("tensorflow")
print("\\n" + json.dumps(sorted(map(str, asked - before))))
"""
# Asked for at import, and no matter: looked up again when it is used, of other systems, or only of
# debuggers and builders that are not here.
NO_MATTER = {
    *("PATH", "b'PATH'", "JPY_PARENT_PID", "JPY_INTERRUPT_EVENT", "TMPDIR", "TEMP", "TMP"),
    *("MPLBACKEND", "ANDROID_DATA", "JUPYTER_USE_PROGRAMDATA", "IN_SPHINX_RUN", "IPYTHONENABLE"),
    *("PYCHARM_DEBUG", "DEBUG_PYDEVD_PATHS_TRANSLATION", "PATHS_FROM_ECLIPSE_TO_PYTHON"),
    *("_PYTHON_PROJECT_BASE", "_PYTHON_SYSCONFIGDATA_NAME"),
}


def test_every_variable_that_the_imports_ask_for_is_in_the_key():
    done = subprocess.run(
        [sys.executable, "-c", RECORD],
        env={name: os.environ[name] for name in ("HOME", "PATH")},  # a copy asks for every one
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    asked = json.loads(done.stdout.splitlines()[-1])
    assert "TF_CPP_MIN_LOG_LEVEL" in asked or "KERAS_BACKEND" in asked
    uncovered = set(asked) - key.read_at_import(dict.fromkeys(asked, "")).keys() - NO_MATTER
    assert uncovered == set()


BASE = {"HOME": "/root", "TF_CPP_MIN_LOG_LEVEL": "3", "EDITOR": "ed"}


def test_a_key_is_the_same_for_the_same_facts_and_other_for_others(monkeypatch, tmp_path):
    one = key.key("plain", [], BASE)
    assert one == key.key("plain", [], BASE | {"EDITOR": "vi", "DATAHALL_HOME": "/x"})
    other = {
        key.key("tensorflow", [], BASE),
        key.key("plain", ["-Xfrozen_modules=off"], BASE),
        *(key.key("plain", [], BASE | {name: "1"}) for name in ("OMP_NUM_THREADS", "HOME", "LANG")),
        key.key("plain", [], {"HOME": "/root"}),
    }
    monkeypatch.setattr(sys, "executable", "/elsewhere/python")
    other.add(key.key("plain", [], BASE))
    assert len(other) == 7 and one not in other


@pytest.mark.parametrize(
    "change",
    [
        "os.umask(0o77)",
        "os.nice(3)",
        "os.sched_setaffinity(0, {0})",
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (99, 99))",
        # under nohup it is ignored already
        "import signal as s; s.signal(s.SIGHUP, s.SIG_DFL if s.getsignal(s.SIGHUP) else s.SIG_IGN)",
    ],
)
def test_what_a_process_hands_to_its_children_is_in_the_key(change):
    program = (
        "import os\nfrom datahall.course.warm.key import key\n"
        f"one = key('plain', [], {{}})\n{change}\nprint(one == key('plain', [], {{}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_an_installed_or_renewed_package_changes_the_key(monkeypatch, tmp_path):
    monkeypatch.setattr("site.getsitepackages", lambda: [str(tmp_path)])
    keys = {key.key("plain", [], BASE)}
    record = tmp_path / "numpy-2.0.dist-info" / "RECORD"
    record.parent.mkdir()
    os.utime(record.parent, ns=(5, 5))
    keys.add(key.key("plain", [], BASE))
    record.write_text("")
    keys.add(key.key("plain", [], BASE))
    os.utime(record, ns=(1, 1))
    keys.add(key.key("plain", [], BASE))
    (tmp_path / "editable.pth").write_text("/somewhere")
    keys.add(key.key("plain", [], BASE))
    record.parent.rename(tmp_path / "numpy-2.1.dist-info")
    keys.add(key.key("plain", [], BASE))
    assert len(keys) == 6


def test_labs_whose_checks_fork_get_no_tensorflow():
    for lab in ("01_convolution_lab", "01_convolution_cost_lab", "02_optimization_lab"):
        assert warm.kind_of(f"work/{lab}-3.ipynb") == warm.kind_of(f"labs/{lab}.ipynb") == "plain"
        assert warm.kind_of(f"solutions/{lab.removesuffix('_lab')}_solution.ipynb") == "plain"
    for lab in ("labs/03_training_lab.ipynb", "work/03_training_lab-2.ipynb"):
        assert warm.kind_of(lab) == "tensorflow"
    assert {n.kernel for n in catalogue.load().notebooks} <= set(catalogue.KERNELS)
    assert set(catalogue.KERNELS) == set(warm.KINDS)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("import tensorflow as tf", "tensorflow"),
        ("import numpy, keras", "tensorflow"),
        ("if True:\n    from keras.layers import Dense", "tensorflow"),
        ("import numpy as np  # not tensorflow", "plain"),
        ("import kerastuner", "plain"),
    ],
)
def test_another_notebook_gets_tensorflow_if_it_imports_it(tmp_path, source, kind):
    path = tmp_path / "mine.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(source)]), path)
    assert warm.kind_of(path) == kind
    assert kinds.kind_for({"JPY_SESSION_NAME": str(path)}) == kind
    assert kinds.kind_for({"PYTEST_CURRENT_TEST": f"{path}::ipynb::Cell 0 (setup)"}) == kind
    assert kinds.kind_for({"JPY_SESSION_NAME": str(path), warm.KIND: "cold"}) == "cold"


def test_a_file_that_is_no_notebook_is_plain(tmp_path):
    (tmp_path / "half.ipynb").write_text('{"cells": [{')
    for name in ("half.ipynb", "missing.ipynb", ""):
        assert warm.kind_of(tmp_path / name) == "plain"


def test_the_catalogue_refuses_a_kind_that_does_not_exist(tmp_path):
    text = (catalogue.files("datahall") / "course.toml").read_text(encoding="utf-8")
    file = tmp_path / "course.toml"
    file.write_text(text.replace('lab_kernel = "plain"', 'lab_kernel = "warm"', 1))
    with pytest.raises(
        InputError, match=r"lab_kernel is .warm.\. It should be .tensorflow., .plain. or .cold."
    ):
        catalogue.load(file)


def test_the_provisioner_imports_nothing_heavy():
    heavy = ("tensorflow", "papermill", "nbclient", "numpy", "nbformat", "IPython")
    program = (
        "import sys, datahall.course.warm.provisioner\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"

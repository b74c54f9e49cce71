"""How the set-up fails: one clear line, an exit code of its own, nothing that is trusted later."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Checkout

ROOT = Path(__file__).resolve().parents[2]
EXIT = {"python": 10, "venv": 11, "disk": 12, "network": 13, "read-only": 14, "installer": 15}


@pytest.fixture(scope="module")
def program() -> ModuleType:
    """What the set-up knows of Pythons, as a module."""
    spec = importlib.util.spec_from_file_location("interpreter", ROOT / "tools" / "interpreter.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def old_pythons() -> list[Path]:
    """Return interpreters of this machine on which the course does not run."""
    names = [f"python3.{minor}" for minor in (6, 7, 8, 9, 10, 14, 15)]
    found = [Path(path) for name in names if (path := shutil.which(name))]
    for name in names:
        found += Path.home().glob(f".pyenv/versions/{name.removeprefix('python')}.*/bin/python")
    return [path for path in found if subprocess.call([path, "-c", ""], stderr=-3) == 0]


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the single line of the failure."""
    lines = [line for line in done.stderr.splitlines() if line]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("set-up: ")
    return lines[0]


@pytest.mark.parametrize("version", [(3, 6), (3, 10), (3, 14), (4, 0)])
def test_a_python_too_old_or_too_new_is_refused(
    program: ModuleType, version: tuple[int, int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(program.SetupError, match=r"It needs Python 3\.11 to 3\.13\.") as caught:
        program.find_python(version)
    assert caught.value.code == EXIT["python"]


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_a_suitable_python_is_taken(program: ModuleType, version: tuple[int, int]):
    assert program.find_python(version)[1] == version


def test_a_suitable_python_is_looked_for_where_the_running_one_is_not(
    program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    minor = sys.version_info.minor
    (tmp_path / f"python3.{minor}").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program.find_python((3, 9)) == (str(tmp_path / f"python3.{minor}"), (3, minor))


def test_an_old_interpreter_reads_the_program_and_says_what_is_needed(checkout: Checkout):
    pythons = old_pythons()
    if not pythons:
        pytest.skip("no Python older than 3.11 or newer than 3.13 is installed here")
    for python in pythons:
        done = checkout.run(checkout.command(python=str(python)), PATH="")
        assert done.returncode == EXIT["python"], done.stderr
        assert "It needs Python 3.11 to 3.13" in one_line(done)
    assert not checkout.venv.exists()


def test_a_python_without_venv_is_told_which_package_brings_it(checkout: Checkout, tmp_path: Path):
    (tmp_path / "ensurepip.py").write_text("raise ImportError\n")
    done = checkout.setup(PYTHONPATH=str(tmp_path))
    assert done.returncode == EXIT["venv"]
    assert f"apt install python3.{sys.version_info.minor}-venv" in one_line(done)
    assert not checkout.stamp.exists()


def test_too_little_room_is_said_before_anything_is_made(
    checkout: Checkout, mount: Callable[..., Path]
):
    small = mount(checkout.project / "small", "-t", "tmpfs", "-o", "size=64m", "tmpfs")
    done = checkout.setup("--needs-mb", "4500", "--venv", str(small / "venv"))
    assert done.returncode == EXIT["disk"]
    assert "67 MB are free, 4500 MB are needed" in one_line(done)
    assert not (small / "venv" / "bin").exists()


def test_a_disk_that_fills_up_in_the_middle_is_said_and_mended_by_making_room(
    checkout: Checkout, mount: Callable[..., Path]
):
    small = mount(checkout.project / "small", "-t", "tmpfs", "-o", "size=12m", "tmpfs")
    options = ("--venv", str(small / "venv"))
    done = checkout.setup(*options)
    assert done.returncode == EXIT["disk"], done.stdout + done.stderr
    assert "filled up during the installation" in one_line(done)
    assert not (small / "venv" / "datahall-setup.json").exists()
    subprocess.run(["mount", "-o", "remount,size=200m", str(small)], check=True)
    assert checkout.setup(*options).returncode == 0


def test_a_first_setup_without_network_says_so(checkout: Checkout):
    alone = ["unshare", "--map-root-user", "--net"]
    possible = shutil.which("unshare") and subprocess.run(
        [*alone, "true"], capture_output=True, check=False
    )
    if not possible or possible.returncode:
        pytest.skip("this kernel or user cannot make an empty network namespace (unshare)")
    done = checkout.run(
        [*alone, *checkout.command()], PIP_NO_INDEX=None, PIP_FIND_LINKS=None, PIP_RETRIES="1"
    )
    assert done.returncode == EXIT["network"], done.stderr
    assert "no network" in one_line(done)
    assert "PIP_FIND_LINKS" in one_line(done)
    assert not checkout.stamp.exists()


def test_a_read_only_checkout_is_told_where_else_and_works_there(
    checkout: Checkout, mount: Callable[..., Path], tmp_path: Path
):
    mount(checkout.project, "--bind", str(checkout.project))
    subprocess.run(["mount", "-o", "remount,bind,ro", str(checkout.project)], check=True)
    done = checkout.setup()
    assert done.returncode == EXIT["read-only"]
    assert "DATAHALL_VENV=/some/where make run" in one_line(done)
    elsewhere = checkout.setup(DATAHALL_VENV=str(tmp_path / "elsewhere"))
    assert elsewhere.returncode == 0, elsewhere.stderr
    assert (tmp_path / "elsewhere" / "datahall-setup.json").exists()


def test_a_package_that_is_not_the_one_of_the_lock_is_refused(checkout: Checkout):
    checkout.lock("tinywheel", wrong=True)
    done = checkout.setup()
    assert done.returncode == EXIT["installer"]
    assert "DO NOT MATCH THE HASHES" in one_line(done)
    assert not checkout.stamp.exists()


def test_a_checkout_without_its_lock_is_refused(checkout: Checkout):
    (checkout.project / "requirements.lock").unlink()
    done = checkout.setup()
    assert done.returncode == 2
    assert "Is this a whole checkout?" in one_line(done)


def test_a_folder_of_the_users_is_never_emptied_to_hold_the_environment(
    checkout: Checkout, tmp_path: Path
):
    mine = tmp_path / "documents"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    done = checkout.setup("--venv", str(mine))
    assert done.returncode == EXIT["read-only"]
    assert "holds files that no set-up of the course made (thesis.txt)" in one_line(done)
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]
    assert (mine / "thesis.txt").read_text() == "years of work"

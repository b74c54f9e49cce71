"""A tiny checkout that `tools/setup.py` sets up in seconds, with real pip and a real lock."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SETUP = ROOT / "tools" / "setup.py"
EXITS = {"python": 10, "venv": 11, "disk": 12, "network": 13, "read-only": 14, "installer": 15}

PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "tinyhall"
version = "1"
"""

# The project's own builder. While the file `wait` exists it waits: an installer caught half-way.
BACKEND = """\
import pathlib, shutil, time

HERE = pathlib.Path(__file__).resolve().parent


def build_editable(folder, config_settings=None, metadata_directory=None):
    while (HERE / "wait").exists():
        (HERE / "caught").touch()
        time.sleep(0.05)
    return pathlib.Path(shutil.copy(str(HERE / "tinyhall-1-py3-none-any.whl"), folder)).name
"""


@dataclass(frozen=True)
class Checkout:
    """A tiny project with its lock, and the folder of wheels that the lock names."""

    project: Path
    wheels: Path

    @property
    def venv(self) -> Path:
        return self.project / ".venv"

    @property
    def stamp(self) -> Path:
        return self.venv / "datahall-setup.json"

    def lock(self, *packages: str, file: str = "requirements.lock", wrong: bool = False) -> None:
        """Write a lock of packages, made as wheels; `wrong` gives them the hash of another file."""
        lines = []
        for package in packages:
            wheel = make_wheel(self.wheels, package, "1.0", {f"{package}.py": "here = True\n"})
            digest = hashlib.sha256(b"" if wrong else wheel.read_bytes()).hexdigest()
            lines.append(f"{package}==1.0 \\\n    --hash=sha256:{digest}\n")
        (self.project / file).write_text("".join(lines))

    def environment(self, **changes: str | None) -> dict[str, str]:
        """Return the variables of a user whose pip looks into the folder of wheels only."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "DATAHALL_"))}
        kept.update(PIP_CONFIG_FILE=os.devnull, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(self.wheels))
        kept.update({k: v for k, v in changes.items() if v is not None})
        return {k: v for k, v in kept.items() if changes.get(k, v) is not None}

    def command(self, *options: str, python: str = sys.executable) -> list[str]:
        """Return the command of the set-up; it asks for no more room than a tiny project needs."""
        needs = () if "--needs-mb" in options else ("--needs-mb", "0")
        return [python, str(SETUP), "--project", str(self.project), *needs, *options]

    def setup(self, *options: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
        """Run the set-up to its end."""
        return self.run(self.command(*options), **changes)

    def run(self, command: list[str], **changes: str | None) -> subprocess.CompletedProcess[str]:
        """Run any command with the variables of this checkout."""
        return subprocess.run(
            command,
            env=self.environment(**changes),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def holds(self, package: str) -> bool:
        """Tell whether a package can be imported in the environment."""
        program = [str(self.venv / "bin" / "python"), "-c", f"import {package}"]
        return self.run(program).returncode == 0


def make_wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> Path:
    """Write a wheel of a few text files, and return it."""
    info = f"{name}-{version}.dist-info"
    content = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = []
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in content.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
            record.append(f"{file},sha256={digest.decode().rstrip('=')},{len(text)}")
            wheel.writestr(zipfile.ZipInfo(file), text)
        wheel.writestr(zipfile.ZipInfo(f"{info}/RECORD"), "\n".join([*record, f"{info}/RECORD,,"]))
    return path


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A tiny checkout whose lock names one package."""
    project, wheels = tmp_path / "project", tmp_path / "wheels"
    project.mkdir()
    wheels.mkdir()
    (project / "pyproject.toml").write_text(PYPROJECT)
    (project / "backend.py").write_text(BACKEND)
    make_wheel(project, "tinyhall", "1", {"tinyhall.pth": f"{project}\n"})
    made = Checkout(project, wheels)
    made.lock("tinywheel")
    return made


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """A function that mounts a file system on a folder until the test ends."""
    mounted: list[Path] = []

    def mount_on(folder: Path, *options: str) -> Path:
        folder.mkdir(exist_ok=True)
        done = subprocess.run(["mount", *options, str(folder)], capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"this user may not mount a file system: {done.stderr.decode().strip()}")
        mounted.append(folder)
        return folder

    yield mount_on
    for folder in reversed(mounted):
        subprocess.run(["umount", str(folder)], check=True)

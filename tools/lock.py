"""Renew the locks from pyproject.toml: `make lock` (needs uv on the PATH, and the network).

The locks are pip's own format: exact versions, hashes, markers for other systems, no addresses.
`requirements-gpu.lock` differs from `requirements.lock` only in TensorFlow's build; the lock of an
extra, `requirements-jax.lock`, holds what it needs beyond `requirements.lock`, in versions that go
with it. With `--keep` no version changes: packages are only added or taken out. The files are
replaced only when all of them could be made.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from setup import EXTRAS, LOCKS

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = (
    *("--extra", "dev", "--universal", "--generate-hashes", "--python-version", "3.11"),
    *("--no-annotate", "--no-header", "--quiet"),
)
ENTRY = re.compile(r"(?m)^([\w.-]+)==(?:.+\n)(?:    --hash=.+\n)*")


class LockError(Exception):
    """A lock could not be made."""


def compile_lock(target: Path, extras: Sequence[str], pins: Path) -> None:
    """Have uv write one lock.

    Args:
        target: The file; what it holds already is kept where possible.
        extras: The extras of pyproject.toml beside `dev`.
        pins: Constraints: versions that are settled.

    Raises:
        LockError: uv failed; it has said why.
    """
    chosen = [word for extra in extras for word in ("--extra", extra)]
    command = ["uv", "pip", "compile", "pyproject.toml", *OPTIONS, *chosen]
    options = ["--constraint", pins, "--output-file", target]
    if subprocess.call([*command, *options], cwd=ROOT, stdout=subprocess.DEVNULL):
        raise LockError(f"uv could not make {target.name}; nothing was changed")


def pin(lock: Path, pins: Path) -> None:
    """Write the versions of a lock as constraints, so that other locks take the same ones."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    found = [line.removesuffix(" \\") for line in lines if "==" in line.partition(";")[0]]
    pins.write_text("\n".join(found) + "\n", encoding="utf-8")


def without(lock: Path, base: Path) -> None:
    """Take out of a lock what another one names too."""
    named = {match[1] for match in ENTRY.finditer(base.read_text(encoding="utf-8"))}
    entries = ENTRY.finditer(lock.read_text(encoding="utf-8"))
    kept = [match[0] for match in entries if match[1] not in named]
    lock.write_text("".join(kept), encoding="utf-8")


def make_all(folder: Path, *, keep: bool) -> None:
    """Make every lock in a folder.

    Args:
        folder: A scratch folder.
        keep: Start from the locks there are, so that versions stay.
    """
    pins = folder / "pins.txt"
    pins.touch()
    if keep:
        for file in LOCKS.values():
            shutil.copyfile(ROOT / file, folder / file)
    for accelerator, file in LOCKS.items():
        compile_lock(folder / file, [accelerator], pins)
        if accelerator == "cpu":
            pin(folder / file, pins)
    for extra, file in EXTRAS.items():
        if keep and (ROOT / file).exists():
            shutil.copyfile(ROOT / file, folder / file)
        compile_lock(folder / file, ["cpu", extra], pins)
        without(folder / file, folder / LOCKS["cpu"])


def main() -> int:
    """Renew the locks; return 0, or 1 where uv is missing or fails."""
    parser = argparse.ArgumentParser(description="Renew the locks from pyproject.toml.")
    parser.add_argument("--keep", action="store_true", help="change no version")
    keep = parser.parse_args().keep
    if shutil.which("uv") is None:
        print("make lock needs uv, which is not part of the environment: pip install uv")
        return 1
    with tempfile.TemporaryDirectory() as name:
        try:
            make_all(Path(name), keep=keep)
        except LockError as error:
            print(error)
            return 1
        for file in (*LOCKS.values(), *EXTRAS.values()):
            part = ROOT / f"{file}.part"
            shutil.copyfile(Path(name) / file, part)
            part.replace(ROOT / file)
    return 0


if __name__ == "__main__":
    sys.exit(main())

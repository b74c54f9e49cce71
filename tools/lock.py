"""Renew the two locks from pyproject.toml: `make lock` (needs uv on the PATH, and the network).

The locks are pip's own format: exact versions, hashes, markers for other systems, no addresses.
`requirements-gpu.lock` differs from `requirements.lock` only in TensorFlow's build. The files are
replaced only when both could be made.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {"requirements.lock": "cpu", "requirements-gpu.lock": "gpu"}
OPTIONS = (
    *("--extra", "dev", "--universal", "--generate-hashes", "--python-version", "3.11"),
    *("--no-annotate", "--no-header", "--quiet", "--upgrade"),
)


def compile_lock(accelerator: str, target: Path, constraint: Path | None) -> int:
    """Have uv write one lock; return its exit code."""
    same = ["--constraint", constraint] if constraint else []
    extra = ["--extra", accelerator, *same, "--output-file", target]
    command = ["uv", "pip", "compile", "pyproject.toml", *OPTIONS, *extra]
    return subprocess.call(command, cwd=ROOT, stdout=subprocess.DEVNULL)


def without_hashes(lock: Path, target: Path) -> Path:
    """Write the pins of a lock as constraints, so that the other lock takes the same versions."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    pins = [line.removesuffix(" \\") for line in lines if "==" in line.partition(";")[0]]
    target.write_text("\n".join(pins) + "\n", encoding="utf-8")
    return target


def main() -> int:
    """Renew both locks; return 0, or 1 where uv is missing or fails."""
    if shutil.which("uv") is None:
        print("make lock needs uv, which is not part of the environment: pip install uv")
        return 1
    with tempfile.TemporaryDirectory() as name:
        folder, pins = Path(name), None
        for file, accelerator in LOCKS.items():
            if compile_lock(accelerator, folder / file, pins):
                print(f"uv could not make {file}; nothing was changed")
                return 1
            pins = pins or without_hashes(folder / file, folder / "pins.txt")
        for file in LOCKS:
            part = ROOT / f"{file}.part"
            shutil.copyfile(folder / file, part)
            part.replace(ROOT / file)
    return 0


if __name__ == "__main__":
    sys.exit(main())

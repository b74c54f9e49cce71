"""What ran before and would run the same: results are given back, marked as cached.

Only the course's own lectures, and only what passed. Two conditions make a hit. The key: code
cells, parameters, installed packages, environment variables, platform, data sets, the executor's
own code, and the artifacts that its needs made in this run. The observations: every file that the
run opened, listed or imported outside of the environment is as it was; so for the programs that it
started through `datahall.programs`. A notebook that opened a socket or started any other process is
never kept. Read `Cache.find`, then `Cache.keep`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from datahall import datasets, runtime, state
from datahall.course.run.keeping import write
from datahall.course.run.plan import Item
from datahall.course.run.prepare import dumps
from datahall.course.run.results import NotebookRun, plain
from datahall.course.warm.key import installed, read_at_import

SCHEMA = 1
PRODUCTS = "artifacts"  # the folder of the kernels' data folder whose files a notebook hands on
ENTRY, BOOK, PAGE = "entry.json", "notebook.ipynb", "page.html"
_OF_THE_RUN = ("DATAHALL_HOME", "DATAHALL_WARM", "DATAHALL_WARM_KIND", "DATAHALL_KERNEL")
_SYSTEM = ("/proc", "/sys", "/dev", "/run")


@dataclass(frozen=True)
class Hit:
    """A run that is given back: its results, and the folder with what it left."""

    run: NotebookRun
    folder: Path


class Cache:
    """The cache as one run sees it.

    Args:
        environment: The variables of the run's kernels.
        scratch: The run's temporary folder: what is in it is made anew in every run.
        home: The kernels' data folder in it.
    """

    def __init__(self, environment: Mapping[str, str], scratch: Path, home: Path) -> None:
        self.folder = state.data_folder() / "cache" / "runs"
        self._scratch, self._home = scratch, home
        self._made: dict[str, dict[str, str]] = {}
        own = {n: v for n, v in environment.items() if n.startswith("DATAHALL_")}
        read = read_at_import(environment) | own
        machine = runtime.fingerprint()
        machine.pop("versions", None)
        self._common = {
            "schema": SCHEMA,
            "python": [sys.version, installed(), _lock()],
            "environment": sorted((n, v) for n, v in read.items() if n not in _OF_THE_RUN),
            "machine": machine,
            "data": {name: datasets.digest(name) for name in datasets.names()},
            "executor": _digest_of_folder(Path(__file__).parent),
        }

    def key(self, item: Item, needs: Mapping[str, Item]) -> str:
        """Return the key of a notebook whose needs have run.

        Args:
            item: The notebook.
            needs: The notebooks of the plan by name.
        """
        facts = self._common | {
            "notebook": item.name,
            "code": item.source.digest,
            "parameters": repr(sorted((item.parameters or {}).items())),
            "preset": item.preset,
            "made by its needs": {n: self._made.get(n) for n in sorted(closure(item, needs))},
        }
        return hashlib.sha256(json.dumps(plain(facts), sort_keys=True).encode()).hexdigest()

    def find(self, item: Item, needs: Mapping[str, Item]) -> Hit | None:
        """Return the run of before if everything is as it was then, else None."""
        folder = self.folder / self.key(item, needs)
        try:
            entry = json.loads((folder / ENTRY).read_text(encoding="utf-8"))
            same = all(_now(path) == digest for path, digest in entry["seen"].items())
            if not same or not (folder / BOOK).is_file():
                return None
            self._restore(item, folder, entry["products"])
            run = replace(NotebookRun.from_dict(entry["run"]), cached=True)
        except (OSError, ValueError, KeyError, TypeError):
            return None  # a damaged entry is none
        return Hit(run, folder)

    def _restore(self, item: Item, folder: Path, products: dict[str, str]) -> None:
        """Put back what the notebook handed on to those that need it."""
        for name, digest in products.items():
            content = (folder / "products" / digest).read_bytes()
            if hashlib.sha256(content).hexdigest() != digest:
                raise ValueError(f"{name} is damaged")
            target = self._home / name
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
            part.write_bytes(content)
            part.replace(target)
        self._made[item.name] = dict(products)

    def keep(
        self,
        item: Item,
        needs: Mapping[str, Item],
        run: NotebookRun,
        observed: Path,
        page: Path | None,
    ) -> None:
        """Keep a run that passed, if nothing about it lies outside of what is observed.

        Args:
            item: The notebook.
            needs: The notebooks of the plan by name.
            run: What was found.
            observed: The kernel's observations.
            page: The executed notebook as a page, or None.
        """
        try:
            seen = json.loads(observed.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._made[item.name] = {"?": secrets.token_hex(8)}  # nothing that needs it is a hit
            return
        products = self._products(seen["wrote"])
        self._made[item.name] = {name: digest for name, (digest, _) in products.items()}
        if run.status != "passed" or seen["started"]:
            return
        entry = {
            "seen": {path: _now(path) for path in self._outside(seen)},
            "products": self._made[item.name],
            "run": plain(asdict(run)),
            "prose": prose(item),
        }
        with contextlib.suppress(OSError):  # a full disk only means no cache
            self._store(self.key(item, needs), item, entry, products, page)

    def _products(self, wrote: list[str]) -> dict[str, tuple[str, Path]]:
        """Return the files that a notebook left in the artifacts, by place in the data folder."""
        top = self._home / PRODUCTS
        paths = [path for path in map(Path, wrote) if path.is_relative_to(top)]
        inside = [file for path in paths for file in (path, *path.rglob("*"))]
        files = {f for f in inside if f.is_file() and not f.name.endswith(".lock")}
        return {
            file.relative_to(self._home).as_posix(): (
                hashlib.sha256(file.read_bytes()).hexdigest(),
                file,
            )
            for file in sorted(files)
        }

    def _outside(self, seen: Mapping[str, list[str]]) -> Iterator[str]:
        """Return the paths that matter: not of the environment, the system, or this run."""
        inside = (*seen["prefixes"], *_SYSTEM, str(self._scratch))
        package = str(Path(__file__).parents[2])
        for kind in ("opened", "imported"):
            for path in seen[kind]:
                if not _within(path, inside) and not path.endswith(".pyc"):
                    yield path
        for path in seen["listed"]:
            if not _within(path, (*inside, package)):
                yield path + os.sep

    def _store(
        self,
        key: str,
        item: Item,
        entry: dict[str, Any],
        products: dict[str, tuple[str, Path]],
        page: Path | None,
    ) -> None:
        part = self.folder / f".{key[:16]}.{secrets.token_hex(4)}.part"
        (part / "products").mkdir(parents=True)
        try:
            for digest, file in products.values():
                shutil.copyfile(file, part / "products" / digest)
            write(part / BOOK, dumps(item.prepared.notebook))
            if page is not None:
                shutil.copyfile(page, part / PAGE)
            write(part / ENTRY, json.dumps(entry, allow_nan=False))
            old = part.with_suffix(".old")
            with contextlib.suppress(FileNotFoundError):
                (self.folder / key).rename(old)
            part.rename(self.folder / key)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def give_back(item: Item, hit: Hit) -> bool:
    """Put the outputs of a hit into today's notebook; tell whether its prose is the one of then."""
    entry = json.loads((hit.folder / ENTRY).read_text(encoding="utf-8"))
    then = json.loads((hit.folder / BOOK).read_text(encoding="utf-8"))
    import nbformat

    old = [cell for cell in then["cells"] if cell["cell_type"] == "code"]
    new = [cell for cell in item.prepared.notebook.cells if cell.cell_type == "code"]
    for before, cell in zip(old, new, strict=True):
        kept = {name: before[name] for name in ("outputs", "execution_count")}
        cell.update(nbformat.from_dict(kept))  # type: ignore[no-untyped-call]
        if "datahall" in before["metadata"]:
            cell.metadata["datahall"] = before["metadata"]["datahall"]
    item.prepared.notebook.metadata["datahall"] = then["metadata"]["datahall"] | {"cached": True}
    if "widgets" in then["metadata"]:
        item.prepared.notebook.metadata["widgets"] = then["metadata"]["widgets"]
    return bool(entry["prose"] == prose(item))


def prose(item: Item) -> str:
    """Return the digest of a notebook's cells that are not executed."""
    text = "\n\x1e\n".join(cell.source for cell in item.source.cells if cell.kind != "code")
    return hashlib.sha256(text.encode()).hexdigest()


def closure(item: Item, items: Mapping[str, Item]) -> set[str]:
    """Return the names of all that a notebook needs, directly or through others."""
    found: set[str] = set()
    waiting = list(item.needs)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += items[name].needs
    return found


def _within(path: str, folders: tuple[str, ...]) -> bool:
    real = os.path.realpath(path)
    return any(p == f or p.startswith(f + os.sep) for p in (path, real) for f in folders)


def _now(path: str) -> str | None:
    """Return the digest of a file's content, or of a folder's names; None where none is."""
    try:
        if path.endswith(os.sep):
            names = "\n".join(sorted(entry.name for entry in os.scandir(path)))
            return hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return None


def _digest_of_folder(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _lock() -> str | None:
    return _now(str(Path(__file__).parents[3] / "requirements.lock"))


def clean() -> int:
    """Remove the cache; return how many runs it held."""
    folder = state.data_folder() / "cache" / "runs"
    found = [path for path in folder.glob("*") if (path / ENTRY).is_file()]
    shutil.rmtree(folder, ignore_errors=True)
    return len(found)

"""The order of the course, from `course.toml`: modules, notebooks, presets, needs and files.

Read `load` first, then `Catalogue.find`. Nothing else in the package knows an order, a title or a
file name. The fields of `course.toml`:

- `[course]`: `title`, `version`.
- `[[module]]`: `number`, `slug`, `title`, `needs` (slugs), `result`, and its `[[module.notebook]]`
  tables.
- `[[module.notebook]]`: `stem`, `title`, `needs` (stems), `lab`, `run_s` (seconds of the measured
  classroom run), `presets.<name>.<parameter>`, `budget` (why a budget of the style is exceeded),
  `kernel` and `lab_kernel` (which libraries a warm kernel has imported: `tensorflow`, `plain` for
  none of TensorFlow, or `cold`).
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from datahall.course.exits import InputError, MachineError

PRESETS = ("smoke", "classroom", "full")
KERNELS = ("tensorflow", "plain", "cold")


@dataclass(frozen=True)
class Notebook:
    """A lecture: its name, what must run before it, its lab, and its parameters for each preset.

    Attributes:
        stem: File name without its ending: `01_convolution_cost`.
        title: What the lecture is called.
        module: Slug of the module it belongs to.
        needs: Stems of the notebooks that must be run before it.
        lab: Stem of the lab that belongs to it, or None.
        presets: Parameters for each preset; `classroom` is the notebook's own defaults.
        run_s: Measured seconds of the classroom run, or None before the first measurement.
        kernel: What its kernel may be forked from: one of `KERNELS`.
        lab_kernel: The same for its lab and solution.
    """

    stem: str
    title: str
    module: str
    needs: tuple[str, ...] = ()
    lab: str | None = None
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    run_s: float | None = None
    kernel: str = "tensorflow"
    lab_kernel: str = "tensorflow"

    @property
    def solution(self) -> str | None:
        """Stem of the solution that the lab is built from."""
        return f"{self.lab.removesuffix('_lab')}_solution" if self.lab else None

    def files(self) -> dict[str, str]:
        """Return its lecture, lab and solution files, relative to the repository."""
        found = {"lecture": f"notebooks/{self.stem}.ipynb"}
        if self.lab:
            found |= {
                "lab": f"labs/{self.lab}.ipynb",
                "solution": f"solutions/{self.solution}.ipynb",
            }
        return found


@dataclass(frozen=True)
class Module:
    """One module of the course, with its notebooks in reading order."""

    number: int
    slug: str
    title: str
    result: str
    needs: tuple[str, ...] = ()
    notebooks: tuple[Notebook, ...] = ()

    @property
    def label(self) -> str:
        """Two digits, as in file names: `01`."""
        return f"{self.number:02d}"

    def exists(self, root: Path) -> dict[str, tuple[int, int]]:
        """Return how many files exist of how many that are meant, for each kind of file."""
        wanted: dict[str, list[str]] = {"lecture": [], "lab": [], "solution": []}
        for notebook in self.notebooks:
            for kind, name in notebook.files().items():
                wanted[kind].append(name)
        wanted["package"] = [f"datahall/{self.slug}/core.py"]
        wanted["tests"] = [f"tests/concepts/test_{self.slug}.py"]
        return {
            kind: (sum((root / n).is_file() for n in names), len(names))
            for kind, names in wanted.items()
        }


@dataclass(frozen=True)
class Catalogue:
    """The whole course: its title, its version and its modules in order."""

    title: str
    version: str
    modules: tuple[Module, ...]

    @property
    def notebooks(self) -> tuple[Notebook, ...]:
        """Every lecture of the course, in order."""
        return tuple(notebook for module in self.modules for notebook in module.notebooks)

    def module(self, word: str) -> Module:
        """Return the module of a number or slug, or the one that a notebook's stem belongs to.

        Raises:
            InputError: There is none; the nearest names are given.
        """
        for module in self.modules:
            stems = {name for n in module.notebooks for name in (n.stem, n.lab, n.solution) if name}
            if (
                word == module.slug
                or word in stems
                or (word.isdecimal() and int(word) == module.number)
            ):
                return module
        raise InputError(self._unknown(word))

    def find(self, word: str) -> tuple[Notebook, ...]:
        """Return the notebooks that a word means.

        Args:
            word: A number (`01`, `1`) or slug (`convolution`) for every notebook of that module; a
                stem
                (`01_convolution_cost`), a lab's or solution's stem, or a path to one of these files
                for one notebook.

        Raises:
            InputError: Nothing has that name, or the module has no notebooks yet.

        Example:
            >>> [notebook.stem for notebook in load().find("00")]
            ['00_start_here']
        """
        stem = Path(word).stem if word.endswith(".ipynb") else word
        for notebook in self.notebooks:
            if stem in (notebook.stem, notebook.lab, notebook.solution) and not self._names_module(
                word
            ):
                return (notebook,)
        module = self.module(stem)
        if not module.notebooks:
            raise InputError(
                f"Module {module.label} ({module.slug}) has no notebooks yet. Run `datahall list` "
                "to see which modules have."
            )
        return module.notebooks

    def _names_module(self, word: str) -> bool:
        return any(word == module.slug for module in self.modules)

    def _unknown(self, word: str) -> str:
        names = [
            name
            for module in self.modules
            for name in (module.slug, *(n.stem for n in module.notebooks))
        ]
        near = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        return (
            f"{word!r} is no module or notebook of the course.{hint} "
            "Run `datahall list` to see all, or give a path that ends in .ipynb."
        )


@cache
def load(path: Path | None = None) -> Catalogue:
    """Read the course from `course.toml`.

    Args:
        path: Another file of the same structure; the package's own if left out.

    Raises:
        InputError: The file cannot be read, or a field is missing, unknown, or of the wrong type;
            the field is named.

    Example:
        >>> load().module("convolution").label
        '01'
    """
    source = path or files("datahall") / "course.toml"
    try:
        raw = tomllib.loads(source.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            f"course.toml cannot be read ({error}). Mend the file, or install the package again."
        ) from error
    course = _Fields(raw, "course.toml")
    about = _Fields(course.get("course", dict), "[course]")
    modules = tuple(_module(table) for table in course.get("module", list))
    catalogue = Catalogue(about.get("title", str), about.get("version", str), modules)
    _check_names(catalogue)
    return catalogue


class _Fields:
    """One table of the file: takes fields out by name and type, and says which one is wrong."""

    def __init__(self, table: Any, place: str) -> None:
        if not isinstance(table, dict):
            raise InputError(f"course.toml: {place} is {table!r}. A table was expected.")
        self.table, self.place = table, place

    def get(self, name: str, kind: type, *, default: Any = None, optional: bool = False) -> Any:
        if name not in self.table:
            if optional:
                return default
            raise InputError(
                f"course.toml: {self.place} has no field {name!r}. Add it ({kind.__name__})."
            )
        value = self.table[name]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise InputError(
                f"course.toml: {self.place}: {name} is {value!r}. A value of type {kind.__name__} "
                "was expected."
            )
        return value

    def one_of(self, name: str, words: tuple[str, ...]) -> str:
        """Return a field that is one of some words; the first of them if it is left out."""
        value = self.get(name, str, default=words[0], optional=True)
        if value not in words:
            raise InputError(
                f"course.toml: {self.place}: {name} is {value!r}. One of {', '.join(words)} was "
                "expected."
            )
        return str(value)

    def only(self, *names: str) -> None:
        for name in self.table:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(names)}."
                raise InputError(f"course.toml: {self.place} has an unknown field {name!r}.{hint}")


def _module(table: Any) -> Module:
    slug = table.get("slug") if isinstance(table, dict) else None
    fields = _Fields(table, f"[[module]] {slug or '(without slug)'}")
    fields.only("number", "slug", "title", "needs", "result", "notebook")
    slug = fields.get("slug", str)
    return Module(
        fields.get("number", int),
        slug,
        fields.get("title", str),
        fields.get("result", str),
        tuple(fields.get("needs", list, default=[], optional=True)),
        tuple(
            _notebook(entry, slug)
            for entry in fields.get("notebook", list, default=[], optional=True)
        ),
    )


def _notebook(table: Any, slug: str) -> Notebook:
    stem = table.get("stem") if isinstance(table, dict) else None
    fields = _Fields(table, f"[[module.notebook]] {stem or f'of {slug}, without stem'}")
    fields.only(
        *("stem", "title", "needs", "lab", "presets", "run_s", "budget", "kernel", "lab_kernel")
    )
    presets = _Fields(
        fields.get("presets", dict, default={}, optional=True), f"{fields.place}.presets"
    )
    presets.only(*PRESETS)
    run_s = fields.table.get("run_s")
    if run_s is not None and (
        isinstance(run_s, bool) or not isinstance(run_s, int | float) or run_s < 0
    ):
        raise InputError(
            f"course.toml: {fields.place}: run_s is {run_s!r}. Seconds, zero or more, were "
            "expected."
        )
    return Notebook(
        fields.get("stem", str),
        fields.get("title", str),
        slug,
        tuple(fields.get("needs", list, default=[], optional=True)),
        fields.get("lab", str, optional=True),
        {name: dict(presets.get(name, dict)) for name in presets.table},
        None if run_s is None else float(run_s),
        fields.one_of("kernel", KERNELS),
        fields.one_of("lab_kernel", KERNELS),
    )


def _check_names(catalogue: Catalogue) -> None:
    """Refuse names that occur twice and needs that name nothing."""
    slugs = [module.slug for module in catalogue.modules]
    stems = [notebook.stem for notebook in catalogue.notebooks]
    labels = [module.label for module in catalogue.modules]
    for kind, names in (("slug", slugs), ("stem", stems), ("number", labels)):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(
                f"course.toml: the {kind} {twice[0]!r} occurs twice. Each must occur once."
            )
    needs = [(m.slug, need, slugs) for m in catalogue.modules for need in m.needs]
    needs += [(n.stem, need, stems) for n in catalogue.notebooks for need in n.needs]
    for name, need, known in needs:
        if need not in known:
            raise InputError(
                f"course.toml: {name}: needs names {need!r}, which does not exist. Known: "
                f"{', '.join(known)}."
            )


def repository_root() -> Path:
    """Return the folder that holds `notebooks/` and `datasets/`: the checkout.

    It is the package's own parent in a checkout; for an installed package, the working folder or
    one above it.

    Raises:
        MachineError: Neither is a checkout of the course.
    """
    here = Path(__file__).resolve().parents[2]
    working = Path.cwd()
    for folder in (here, working, *working.parents):
        if (folder / "datahall" / "course.toml").is_file() and (
            folder / "pyproject.toml"
        ).is_file():
            return folder
    raise MachineError(
        "The course's notebooks were not found: the package is installed, and the working folder "
        "is not inside a checkout. "
        "Change to the folder of the course, or clone it."
    )

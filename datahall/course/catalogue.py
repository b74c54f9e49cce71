"""The order of the course, from `course.toml`: modules, notebooks, presets, needs and files.

Read `load` first, then `Catalogue.find`. Nothing else in the package knows an order, a title or a
file name. The fields of `course.toml`:

- `[course]`: `title`, `version`.
- `[[module]]`: `number`, `slug`, `title`, `needs` (slugs), `result`, and its `[[module.notebook]]`
  tables.
- `[[module.notebook]]`: `stem`, `title`, `needs` (stems), `lab`, `presets.<name>.<parameter>`,
  `budget` (why a budget of the style is exceeded), `about_cost` (more of its outputs may be left
  out of the comparison: they are times), `kernel` and `lab_kernel` (which libraries a warm kernel
  has imported: `tensorflow`, `plain` for none of TensorFlow, or `cold`).

Needs name what stands before. What a machine writes is elsewhere: `measured.json` holds the seconds
of each classroom run, by stem, written by `make docs`.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field
from pydantic.dataclasses import dataclass

from datahall.course.exits import InputError, MachineError
from datahall.course.fields import STRICT, refuse_twice, validated

Preset = Literal["smoke", "classroom", "full"]
Seconds = Annotated[float, Field(ge=0)]
Kernel = Literal["tensorflow", "plain", "cold"]
Kind = Literal["lecture", "solution", "lab"]
PRESETS: tuple[str, ...] = get_args(Preset)
KERNELS: tuple[str, ...] = get_args(Kernel)
MEASURED = "measured.json"


@dataclass(frozen=True, config=STRICT)
class Notebook:
    """A lecture: its name, what must run before it, its lab, and its parameters for each preset.

    Attributes:
        stem: File name without its ending: `01_convolution_cost`.
        title: What the lecture is called.
        module: Slug of the module it belongs to.
        needs: Stems of the notebooks that must be run before it.
        lab: Stem of the lab that belongs to it, or None.
        presets: Parameters for each preset; `classroom` is the notebook's own defaults.
        budget: Why it exceeds a budget of the style; "" if it does not.
        about_cost: Whether many of its outputs are times.
        run_s: Measured seconds of the classroom run, or None before the first measurement.
        kernel: What its kernel may be forked from: one of `KERNELS`.
        lab_kernel: The same for its lab and solution.
        extras: What it uses beyond the main lock if it is there (`datahall.extras`).
    """

    stem: str
    title: str
    module: str
    needs: tuple[str, ...] = ()
    lab: str | None = None
    presets: dict[Preset, dict[str, Any]] = Field(default_factory=dict)
    budget: str = ""
    about_cost: bool = False
    run_s: Seconds | None = None
    kernel: Kernel = "tensorflow"
    lab_kernel: Kernel = "tensorflow"
    extras: tuple[str, ...] = ()

    @property
    def solution(self) -> str | None:
        """Stem of the solution that the lab is built from."""
        return solution_of(self.lab) if self.lab else None

    def parameters(self, preset: str) -> dict[str, Any]:
        """Return the parameters that a preset gives it; what is not named keeps its default."""
        return dict(next((given for name, given in self.presets.items() if name == preset), {}))

    def files(self) -> dict[Kind, str]:
        """Return its lecture, lab and solution files, relative to the repository."""
        found: dict[Kind, str] = {"lecture": f"notebooks/{self.stem}.ipynb"}
        if self.lab:
            found |= {
                "lab": f"labs/{self.lab}.ipynb",
                "solution": f"solutions/{self.solution}.ipynb",
            }
        return found


@dataclass(frozen=True, config=STRICT)
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

    def entry(self, path: str | Path) -> tuple[Notebook, Kind] | None:
        """Return the row that a notebook file is named in, and as what; None if it is in none.

        A learner's numbered copy is what it was copied from.

        Example:
            >>> row, kind = load().entry("work/01_convolution_lab-2.ipynb")
            >>> row.stem, kind
            ('01_convolution', 'lab')
        """
        stem = re.sub(r"-\d+$", "", Path(path).stem)
        named = ((row, kind, name) for row in self.notebooks for kind, name in row.files().items())
        return next(((row, kind) for row, kind, name in named if Path(name).stem == stem), None)

    def heading(self, notebook: Notebook, kind: Kind) -> str:
        """Return how the title of a notebook's file begins: its number in its module.

        Args:
            notebook: A row of the course.
            kind: Its lecture, or its lab or solution, which are counted on their own.

        Example:
            >>> row = load().find("01_convolution_cost")[0]
            >>> load().heading(row, "lecture"), load().heading(row, "lab")
            ('# 1.3 ', '# Lab 1.2: ')
        """
        module = self.module(notebook.module)
        rows = [row for row in module.notebooks if kind == "lecture" or row.lab]
        number = f"{module.number}.{rows.index(notebook) + 1}"
        return f"# {number} " if kind == "lecture" else f"# Lab {number}: "

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


def solution_of(lab: str) -> str:
    """Return the stem of the solution that a lab is built from.

    Example:
        >>> solution_of("01_convolution_lab"), lab_of("01_convolution_solution")
        ('01_convolution_solution', '01_convolution_lab')
    """
    return f"{lab.removesuffix('_lab')}_solution"


def lab_of(solution: str) -> str:
    """Return the stem of the lab that is built from a solution."""
    return f"{solution.removesuffix('_solution')}_lab"


@cache
def load(path: Path | None = None) -> Catalogue:
    """Read the course from `course.toml`, and the measured seconds beside it.

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
    seconds = _seconds(path.with_name(MEASURED) if path else files("datahall") / MEASURED)
    try:
        raw = tomllib.loads(source.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            f"course.toml cannot be read ({error}). Mend the file, or install the package again."
        ) from error
    course = validated(_Course, raw, "course.toml")
    about = validated(_About, course.course, "course.toml: [course]")
    modules = tuple(_module(table, seconds) for table in course.module)
    catalogue = Catalogue(about.title, about.version, modules)
    _check_names(catalogue)
    _check_needs(catalogue)
    return catalogue


@dataclass(frozen=True, config=STRICT)
class _Course:
    """The file's two parts, their fields not looked at yet."""

    course: dict[str, Any]
    module: list[dict[str, Any]]


@dataclass(frozen=True, config=STRICT)
class _About:
    """The table `[course]`."""

    title: str
    version: str


def _seconds(source: Path | Traversable) -> dict[str, float]:
    """Return the measured seconds of each notebook's classroom run, by stem."""
    try:
        text = source.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    try:
        return validated(dict[str, Seconds], json.loads(text), MEASURED)
    except ValueError as error:
        raise InputError(f"{MEASURED} is no JSON ({error}). Run `make docs` again.") from error


def _module(table: dict[str, Any], seconds: Mapping[str, float]) -> Module:
    fields = {key: value for key, value in table.items() if key != "notebook"}
    place = f"course.toml: [[module]] {fields.get('slug', '(without slug)')}"
    module = validated(Module, fields, place)
    rows = validated(list[dict[str, Any]], table.get("notebook", []), f"{place}: notebook")
    return replace(module, notebooks=tuple(_notebook(row, module, seconds) for row in rows))


def _notebook(row: dict[str, Any], module: Module, seconds: Mapping[str, float]) -> Notebook:
    stem = row.get("stem", f"of {module.slug}, without stem")
    place = f"course.toml: [[module.notebook]] {stem}"
    if found := row.keys() & {"module", "run_s"}:
        raise InputError(
            f"{place} has an unknown field {min(found)!r}. It is not written there: the module "
            f"is the table's own, seconds stand in {MEASURED}."
        )
    return validated(Notebook, {**row, "module": module.slug, "run_s": seconds.get(stem)}, place)


def _check_names(catalogue: Catalogue) -> None:
    """Refuse names that occur twice and needs that name nothing."""
    slugs = [module.slug for module in catalogue.modules]
    stems = [notebook.stem for notebook in catalogue.notebooks]
    refuse_twice(slugs, "slug", "course.toml")
    refuse_twice(stems, "stem", "course.toml")
    refuse_twice([module.label for module in catalogue.modules], "number", "course.toml")
    needs = [(m.slug, need, slugs) for m in catalogue.modules for need in m.needs]
    needs += [(n.stem, need, stems) for n in catalogue.notebooks for need in n.needs]
    for name, need, known in needs:
        if need not in known:
            raise InputError(
                f"course.toml: {name}: needs names {need!r}, which does not exist. Known: "
                f"{', '.join(known)}."
            )


def _check_needs(catalogue: Catalogue) -> None:
    """Refuse needs that go round in a circle, and needs of what comes later."""
    _check_order({module.slug: module.needs for module in catalogue.modules})
    _check_order({notebook.stem: notebook.needs for notebook in catalogue.notebooks})


def _check_order(needs: Mapping[str, tuple[str, ...]]) -> None:
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        raise InputError(
            f"course.toml: needs go round in a circle: {circle}. Take one of them out."
        ) from error
    before: set[str] = set()
    for name, wanted in needs.items():
        if later := [need for need in wanted if need not in before]:
            raise InputError(
                f"course.toml: {name}: needs names {later[0]!r}, which comes later. The order of "
                "the file is the order of the course: move one of them."
            )
        before.add(name)


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

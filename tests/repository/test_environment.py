"""The lock, the environment made from it, and the files that must agree with both."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from datahall import extras

LOCKS = ["requirements.lock", "requirements-gpu.lock"]
EXTRAS = {name: f"requirements-{name}.lock" for name in extras.MODULES}
ALL = [*LOCKS, *EXTRAS.values()]
MACHINES = [
    {"sys_platform": system, "platform_machine": machine, "python_full_version": python}
    for system, machine in [
        ("linux", "x86_64"),
        ("linux", "aarch64"),
        ("darwin", "arm64"),
        ("win32", "AMD64"),
    ]
    for python in ("3.11.9", "3.12.7", "3.13.1")
]


def entries(text: str) -> list[tuple[Requirement, list[str]]]:
    """Return each requirement of a lock with its hashes."""
    joined = text.replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line.strip() and line[0] != "#"]
    found = []
    for line in lines:
        requirement, *hashes = re.split(r"\s--hash=", line)
        found.append((Requirement(requirement.strip()), [part.strip() for part in hashes]))
    return found


def holds(marker: Marker | None, **machine: str) -> bool:
    """Tell whether a requirement applies on a machine."""
    return marker is None or marker.evaluate({**default_environment(), **machine})


@pytest.fixture(scope="module")
def pyproject() -> dict[str, dict[str, object]]:
    """The project's own description."""
    root = Path(__file__).resolve().parents[2]
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ALL)
def test_every_package_of_a_lock_has_one_version_and_hashes(root: Path, name: str):
    for requirement, hashes in entries((root / name).read_text(encoding="utf-8")):
        assert re.fullmatch(r"==[\w.!+-]+", str(requirement.specifier)), requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), requirement


@pytest.mark.parametrize("name", ALL)
def test_a_lock_names_no_address(root: Path, name: str):
    text = (root / name).read_text(encoding="utf-8")
    assert not re.search(r"://| @ |--(index|extra-index|find-links|trusted)", text)


@pytest.mark.parametrize("name", LOCKS)
def test_no_machine_gets_both_builds_of_tensorflow(root: Path, name: str):
    builds = [
        requirement
        for requirement, _ in entries((root / name).read_text(encoding="utf-8"))
        if requirement.name in ("tensorflow", "tensorflow-cpu", "tensorflow-intel")
    ]
    assert builds
    for machine in MACHINES:
        chosen = [build.name for build in builds if holds(build.marker, **machine)]
        assert len(chosen) <= 1, (machine, chosen)


def test_the_locks_differ_in_versions_of_no_package_they_share(root: Path):
    cpu, gpu = (
        {str(r.name): str(r.specifier) for r, _ in entries((root / lock).read_text())}
        for lock in LOCKS
    )
    assert {n: (v, gpu[n]) for n, v in cpu.items() if n in gpu and gpu[n] != v} == {}
    assert cpu["tensorflow-cpu"] == gpu["tensorflow"]


@pytest.mark.parametrize(("name", "accelerator"), [(LOCKS[0], "cpu"), (LOCKS[1], "gpu")])
def test_a_lock_satisfies_every_requirement_of_the_project(
    root: Path, pyproject: dict[str, dict], name: str, accelerator: str
):
    project = pyproject["project"]
    optional = project["optional-dependencies"]
    wanted = project["dependencies"] + optional[accelerator] + optional["dev"]
    locked = {
        canonicalize_name(requirement.name): next(iter(requirement.specifier)).version
        for requirement, _ in entries((root / name).read_text(encoding="utf-8"))
    }
    for text in [*wanted, *pyproject["build-system"]["requires"]]:
        requirement = Requirement(text)
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not locked: make lock"
        assert requirement.specifier.contains(version), (text, version)


@pytest.mark.parametrize("name", EXTRAS)
def test_the_lock_of_an_extra_adds_to_the_main_lock_and_repeats_nothing_of_it(
    root: Path, pyproject: dict[str, dict], name: str
):
    main, own = (
        {canonicalize_name(r.name): r.specifier for r, _ in entries((root / file).read_text())}
        for file in (LOCKS[0], EXTRAS[name])
    )
    assert set(main) & set(own) == set()
    for text in pyproject["project"]["optional-dependencies"][name]:
        wanted = Requirement(text)
        pinned = next(iter((main | own)[canonicalize_name(wanted.name)])).version
        assert wanted.specifier.contains(pinned), (text, pinned)


def test_the_set_up_knows_the_extras_that_the_course_names(root: Path):
    said = subprocess.run(
        [sys.executable, root / "tools" / "setup.py", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"--extras {{{','.join([*extras.MODULES, 'none'])}}}" in " ".join(said.split())


def test_the_conda_environment_installs_the_lock_on_the_same_pythons(
    root: Path, pyproject: dict[str, dict]
):
    conda = yaml.safe_load((root / "environment.yml").read_text(encoding="utf-8"))
    *plain, last = conda["dependencies"]
    assert last == {"pip": ["-r requirements.lock"]}
    python = next(text for text in plain if text.startswith("python"))
    wanted = SpecifierSet(pyproject["project"]["requires-python"])
    assert SpecifierSet(python.removeprefix("python")) == wanted
    assert {text for text in plain if text != python} == {"pip"}  # no second source of versions


def test_what_is_installed_is_what_the_lock_names(root: Path):
    accelerator = "requirements.lock"
    try:
        importlib.metadata.version("tensorflow-cpu")
    except importlib.metadata.PackageNotFoundError:
        accelerator = "requirements-gpu.lock"
    wrong = {}
    files = [accelerator, *(EXTRAS[name] for name in EXTRAS if not extras.lacking(name))]
    text = "".join((root / file).read_text(encoding="utf-8") for file in files)
    for requirement, _ in entries(text):
        if not holds(requirement.marker):
            continue
        version = importlib.metadata.version(requirement.name)
        if not requirement.specifier.contains(version, prereleases=True):
            wrong[requirement.name] = (version, str(requirement.specifier))
    assert wrong == {}


def test_no_installed_package_misses_another():
    done = subprocess.run(
        [sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("package", ["tensorflow", "keras", "numpy", "jupyter_client"])
def test_modules_are_compiled_so_that_no_kernel_compiles_them_again(package: str):
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    modules = list(Path(spec.origin).parent.rglob("*.py"))
    raw = [path for path in modules if not Path(importlib.util.cache_from_source(path)).exists()]
    # A few files are for other Pythons, or are not modules at all, and do not compile.
    assert len(raw) <= len(modules) // 100, raw[:5]


def test_the_licences_that_the_project_names_are_there(root: Path, pyproject: dict[str, dict]):
    assert pyproject["project"]["license"] == "Apache-2.0 AND CC-BY-4.0"
    for name, title in [("LICENSE", "Apache License"), ("LICENSE-text", "Attribution 4.0")]:
        assert name in pyproject["project"]["license-files"]
        assert title in (root / name).read_text(encoding="utf-8")[:300]

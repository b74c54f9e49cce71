"""Links lead somewhere, and no committed file names this machine or a package registry."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = {".git", ".venv", "build", "work", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
LINK = re.compile(r"!?\[[^\]]*\]\(<?([^()\s>]+(?:\([^()]*\))?)>?(?:\s+\"[^\"]*\")?\)")
# Written in two parts, so that this file does not name what it forbids.
REGISTRIES = [
    f"{name}.{ending}"
    for name, ending in [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("deb.debian", "org"),
        ("anaconda", "org"),
    ]
]
PLACES = [
    f"/{first}/{second}"
    for first, second in [("opt", "pypi"), ("work", "main"), ("work", "shared"), ("tmp", "brief")]
]
PLACES += [f"{Path.home()}/", f"{ROOT}/"]


def tracked() -> list[Path]:
    """Return the files that git knows; those of the folder where it is no git checkout."""
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        files = [ROOT / name for name in done.stdout.split("\0") if name]
    else:
        files = [p for p in ROOT.rglob("*") if p.is_file() and not SKIPPED & set(p.parts)]
    return [path for path in files if path.exists()]


FILES = tracked()
PAGES = [path for path in FILES if path.suffix in (".md", ".ipynb")]


def prose(path: Path) -> str:
    """Return the text of a page; of a notebook, its text cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return re.sub(r"(?ms)^```.*?^```|`[^`\n]*`", "", text)
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found = set(re.findall(r'<a (?:id|name)="([^"]+)"', path.read_text(encoding="utf-8")))
    for heading in re.findall(r"(?m)^#+ +(.+?) *#*$", path.read_text(encoding="utf-8")):
        plain = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(plain.replace(" ", "-"))
    return found


def links(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (file, anchor) of the links to places of this repository."""
    for target in LINK.findall(prose(path)):
        if not re.match(r"[a-z][a-z0-9+.-]*:", target):
            file, _, anchor = unquote(target).partition("#")
            yield file, anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path):
    broken = []
    for file, anchor in links(page):
        target = (page.parent / file).resolve() if file else page
        if not target.exists():
            broken.append(file)
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            broken.append(f"{file}#{anchor}")
    assert broken == []


def test_no_file_names_this_machine_or_a_registry():
    named = {}
    for path in FILES:
        if path.suffix in (".gz", ".png", ".parquet", ".npz"):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        hits = [name for name in (*REGISTRIES, *PLACES) if name in text]
        if hits:
            named[str(path.relative_to(ROOT))] = hits
    assert named == {}


def test_every_toml_and_yaml_file_can_be_read():
    for path in FILES:
        if path.suffix == ".toml":
            tomllib.loads(path.read_text(encoding="utf-8"))
        elif path.suffix in (".yml", ".yaml"):
            list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def test_the_hooks_run_programs_of_the_environment_only():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in hooks["repos"]] == ["local"]
    entries = [hook["entry"] for hook in hooks["repos"][0]["hooks"]]
    assert len(entries) == 7
    programs = {program for entry in entries for program in re.findall(r"\.venv/bin/[\w-]+", entry)}
    assert all((ROOT / program).exists() for program in programs) or not (ROOT / ".venv").exists()
    assert all(".venv/bin/" in entry for entry in entries)

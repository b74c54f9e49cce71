"""The Makefile: the verbs a person sees, and what stands behind them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

VERBS = [
    *("setup", "run", "lab", "test", "test-long", "unit", "lint"),
    *("fix", "notebook", "docs", "lock", "clean"),
]


def make(root: Path, *arguments: str) -> str:
    """Return what make prints, run dry unless told otherwise."""
    done = subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_make_alone_lists_at_most_twelve_verbs_and_help(root: Path):
    listed = re.findall(r"(?m)^make ([a-z-]+)", make(root))
    assert listed == ["help", *VERBS]
    assert len(VERBS) <= 12


def test_every_verb_is_phony_and_explained(root: Path):
    text = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?m)^([a-z-]+):", text))
    phony = re.search(r"(?m)^\.PHONY: (.+)$", text)
    assert phony is not None
    assert targets == set(phony[1].split()) == {"help", *VERBS}


def test_every_verb_that_uses_the_environment_makes_it_first(root: Path):
    for verb in VERBS:
        if verb != "clean":
            assert make(root, "-n", verb).lstrip("@").startswith("python3 tools/setup.py"), verb


def test_the_accelerator_and_the_place_of_the_environment_can_be_chosen(root: Path):
    assert "--accelerator gpu" in make(root, "-n", "setup", "ACCELERATOR=gpu")
    assert "/some/where/bin/datahall run" in make(root, "-n", "run", "DATAHALL_VENV=/some/where")


def test_kernels_started_by_make_may_write_bytecode(root: Path):
    assert "unexport PYTHONDONTWRITEBYTECODE" in (root / "Makefile").read_text(encoding="utf-8")


def test_ci_runs_make_test_and_makes_a_skipped_browser_a_failure(root: Path):
    script = root / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    text = script.read_text(encoding="utf-8")
    assert "export DATAHALL_BROWSER_REQUIRED=1" in text
    assert text.rstrip().endswith("make test")
    subprocess.run(["bash", "-n", str(script)], check=True)

"""Which zygote a notebook's kernel is forked from: with TensorFlow, without, or none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

KIND = "DATAHALL_WARM_KIND"  # environment variable: the kind, if the starter knows it
WARM = ("plain", "tensorflow")
KINDS = (*WARM, "cold")
_IMPORTS = re.compile(r"^\s*(?:import|from)\s+(?:[\w.]+\s*,\s*)*(?:tensorflow|keras)\b", re.M)


def kind_of(path: str | Path) -> str:
    """Return the kind of a notebook's kernel: `plain`, `tensorflow` or `cold`.

    A notebook of the course says it in `course.toml`; a learner's numbered copy is like its lab.
    Any other gets TensorFlow if a code cell imports TensorFlow or Keras.

    Args:
        path: The notebook; one of the course need not exist, its name suffices.

    Example:
        >>> kind_of("work/01_convolution_lab-2.ipynb"), kind_of("notebooks/03_training.ipynb")
        ('plain', 'tensorflow')
    """
    from datahall.course import catalogue

    if found := catalogue.load().entry(path):
        row, what = found
        return row.kernel if what == "lecture" else row.lab_kernel
    return "tensorflow" if _imports_tensorflow(Path(path)) else "plain"


def kind_for(environment: Mapping[str, str]) -> str:
    """Return the kind that an environment asks for, or that suits the notebook it names.

    Jupyter's server names the notebook in `JPY_SESSION_NAME`, pytest in `PYTEST_CURRENT_TEST`.
    """
    if asked := environment.get(KIND):
        return asked
    name = environment.get("JPY_SESSION_NAME") or environment.get("PYTEST_CURRENT_TEST", "")
    return kind_of(name.partition("::")[0])


def _imports_tensorflow(path: Path) -> bool:
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        sources = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return any(_IMPORTS.search(source) for source in sources)

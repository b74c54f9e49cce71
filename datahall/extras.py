"""Extras of the environment: what a few lectures use if it is there, and how to install it.

Each extra of `pyproject.toml` that a learner chooses has a lock of its own and is installed by
`make setup EXTRAS=name`. A lecture runs without: it says what is lacking and goes on.
"""

from __future__ import annotations

import importlib.util

from datahall.errors import CourseError, ParameterError

MODULES = {
    "jax": ("jax",),
    "ray": ("ray",),
    "runtimes": ("onnx", "onnxruntime", "openvino", "tf2onnx"),
}


def lacking(*names: str) -> tuple[str, ...]:
    """Return those of some extras that are not installed, whole.

    Nothing is imported.

    Args:
        names: Keys of `MODULES`.

    Raises:
        ParameterError: There is no such extra.

    Example:
        >>> lacking()
        ()
    """
    for name in names:
        if name not in MODULES:
            raise ParameterError(
                f"No extra is called {name!r}. One of {', '.join(MODULES)} was expected."
            )
    found = importlib.util.find_spec
    return tuple(n for n in names if any(found(module) is None for module in MODULES[n]))


def advice(*names: str) -> str:
    """Return the sentence that says how to install extras.

    Args:
        names: Keys of `MODULES`.

    Example:
        >>> print(advice("jax"))
        jax is not installed. Install it with: make setup EXTRAS="jax"
    """
    verb, it = ("is", "it") if len(names) == 1 else ("are", "them")
    command = f'make setup EXTRAS="{" ".join(names)}"'
    return f"{' and '.join(names)} {verb} not installed. Install {it} with: {command}"


def require(*names: str) -> None:
    """Go on only where extras are installed.

    Args:
        names: Keys of `MODULES`.

    Raises:
        CourseError: One is lacking; the message names the command that installs it.
    """
    if absent := lacking(*names):
        raise CourseError(advice(*absent))

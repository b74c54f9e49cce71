"""One process of a job: `python -m datahall.scaling.worker MODULE:FUNCTION ARGUMENTS RESULT`.

The launcher starts it. It calls the function with the arguments (JSON) and writes what comes back
(JSON) into the file RESULT, whole or not at all. Who it is, it reads from `TF_CONFIG`.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datahall import runtime, state
from datahall.errors import ParameterError


def function_of(target: str) -> Callable[..., Any]:
    """Return the function that "module:function" names.

    Raises:
        ParameterError: There is no such module or function.

    Example:
        >>> function_of("math:sqrt")(9)
        3.0
    """
    module, _, name = target.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ParameterError(
            f"{target!r} cannot be imported ({error}). module:function was expected, importable "
            "from here. Try `python -c 'import MODULE'` in this folder."
        ) from error
    if not callable(found):
        raise ParameterError(
            f"{target!r} is {type(found).__name__}, which cannot be called. A function was "
            "expected. Name one."
        )
    return found  # type: ignore[no-any-return]


def tell(words: str) -> None:
    """Say where the work stands: one line, which the launcher reads at once."""
    print(words, flush=True)


def scratch() -> Path:
    """Return the folder of this job: it outlives a restart, and goes with the job."""
    return Path(os.environ.get("DATAHALL_JOB_FOLDER", "."))


def main() -> None:
    """Call the function and write what it returns; the last line of a failure says what failed."""
    target, arguments, result = sys.argv[1:]
    given = json.loads(arguments)
    runtime.start(seed=given.get("seed", 0))
    try:
        came = function_of(target)(**given)
        state.write_atomically(Path(result), json.dumps(came))
    except Exception as error:
        traceback.print_exc()
        lines = str(error).strip().splitlines() or [""]
        line = next((line for line in lines if "aborted" in line), lines[0])
        tell(f"{type(error).__name__}: {line}")
        sys.exit(1)


if __name__ == "__main__":
    main()

"""What a cold start spends on imports, and what of it can be saved.

Each row is a fresh process, several times in turns, wall and processor time of the import alone and
of the whole process. The last row of each group is what the course does: `fast.tensorflow()`
imports TensorFlow without Keras, which would pull in scikit-learn, SciPy and Matplotlib.
"without bytecode" compiles every module anew, as where PYTHONDONTWRITEBYTECODE is set and an
installer has compiled nothing; it is measured with a bytecode folder that stays empty.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from measuring import Spread, finish, options, record, say, table

PROGRAMS = {
    "python": "pass",
    "numpy": "import numpy",
    "datahall.training.recipe": "import datahall.training.recipe",
    "tensorflow": "import tensorflow",
    "keras": "import keras",
    "keras, no scikit-learn": "import sys; sys.modules['sklearn'] = None; import keras",
    "tensorflow without keras": "from datahall.training import fast; fast.tensorflow()",
}
TELL = """
import json, sys, time
begin, cpu = time.perf_counter(), time.process_time()
{program}
took = {{"import_s": time.perf_counter() - begin, "import_cpu_s": time.process_time() - cpu}}
heavy = ("keras", "sklearn", "scipy", "pandas", "matplotlib")
took |= {{"modules": len(sys.modules), "pulls": [name for name in heavy if name in sys.modules]}}
print(json.dumps(took))
"""
WITHOUT = "tensorflow, without bytecode"


def once(program: str, *, bytecode: bool = True) -> dict[str, Any]:
    """Start a fresh Python, run one program in it, and return what it tells of itself."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["TF_CPP_MIN_LOG_LEVEL"] = "3"
    with tempfile.TemporaryDirectory() as empty:
        if not bytecode:
            env |= {"PYTHONPYCACHEPREFIX": empty, "PYTHONDONTWRITEBYTECODE": "1"}
        begin = time.perf_counter()
        done = subprocess.run(  # noqa: S603 (our own interpreter, a program from this file)
            [sys.executable, "-c", TELL.format(program=program)],
            env=env,
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        whole = time.perf_counter() - begin
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**told, "process_s": whole}


def measure(repeat: int) -> dict[str, list[dict[str, Any]]]:
    """Run all programs in turns, so that a busy moment meets them all alike."""
    for program in PROGRAMS.values():  # pages the files in, writes bytecode where it is missing
        once(program)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in PROGRAMS}
    for turn in range(repeat):
        say(f"turn {turn + 1} of {repeat}")
        for name, program in PROGRAMS.items():
            runs[name].append(once(program))
    runs[WITHOUT] = [once(PROGRAMS["tensorflow"], bytecode=False)]
    return runs


def main() -> int:
    """Measure, print, record."""
    parser = options(__doc__, record="build/import_time.json")
    parser.add_argument("--repeat", type=int, default=5, help="processes a row (5)")
    given = parser.parse_args()
    if given.repeat < 1:
        parser.error("--repeat must be at least 1")
    runs = measure(given.repeat)
    rows, values = [], {}
    for name, some in runs.items():
        spreads = {
            clock: Spread(run[clock] for run in some)
            for clock in ("import_s", "import_cpu_s", "process_s")
        }
        last = some[-1]
        values[name] = {clock: spread.plain() for clock, spread in spreads.items()}
        values[name] |= {"modules": last["modules"], "pulls": last["pulls"]}
        shown = [spread.show() for spread in spreads.values()]
        rows.append([name, *shown, str(last["modules"]), ", ".join(last["pulls"]) or "none"])
    head = ["import", "wall, s", "CPU, s", "whole process, s", "modules", "pulls in"]
    saved = values["tensorflow"]["import_cpu_s"]["median"]
    saved /= values["tensorflow without keras"]["import_cpu_s"]["median"]
    text = (
        table(head, rows) + f"\n\nWithout Keras the import takes {saved:.1f} times less CPU time."
    )
    code = ["training/fast.py", "training/recipe.py"]
    finish(record("import_time", values, code=code), text, given)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What nbval must know of the course: which parts of an output are measured, and how kernels start.

Load it with `-p datahall.course.notebooks.nbval_plugin`. A result has three forms: text, which is
stable and compared; HTML and a JSON record, which hold the measured value and are not (decision
0027). Kernels run offline, without a reader, in a data folder of their own; workers of pytest-xdist
share it, and the zygotes that kernels are forked from. Stored outputs are made cold and compared
warm.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from datahall import extras
from datahall.course import catalogue, warm
from datahall.course.run.environment import UNSET, of_kernels
from datahall.reporting import RESULT_MIME

NOT_COMPARED = (RESULT_MIME, "text/html")
FOLDER = "DATAHALL_NBVAL_FOLDER"
_ALL_COLD = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Set what the kernels inherit: nbval starts them with the environment of this process."""
    if not config.getoption("--nbval", default=False):
        return
    if FOLDER not in os.environ:
        folder = tempfile.mkdtemp(prefix="datahall-nbval-")
        os.environ[FOLDER] = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        owner = ExitStack()
        os.environ.update(owner.enter_context(warm.zygotes()))
        os.environ["JUPYTER_DEFAULT_PROVISIONER_NAME"] = "datahall-warm"
        config.add_cleanup(owner.close)
    for name in UNSET:
        os.environ.pop(name, None)
    os.environ.update(of_kernels(Path(os.environ[FOLDER]), offline=True))
    config.stash[_ALL_COLD] = os.environ.get(warm.KIND) == "cold"


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Add our types to what a notebook's cells skip when they compare."""
    skipped = getattr(collector, "skip_compare", None)
    if skipped is not None:
        collector.skip_compare = (*skipped, *NOT_COMPARED)  # type: ignore[attr-defined]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Say which zygote suits a notebook, before nbval starts its kernel.

    A lecture without its extras tells its reader how to install them; its stored outputs are of an
    environment that has them, and cannot be compared.
    """
    if item.path.suffix != ".ipynb":
        return
    for notebook in catalogue.load().notebooks:
        if notebook.stem == item.path.stem and (lacking := extras.lacking(*notebook.extras)):
            pytest.skip(extras.advice(*lacking))
    if not item.config.stash.get(_ALL_COLD, True):
        os.environ[warm.KIND] = warm.kind_of(item.path)

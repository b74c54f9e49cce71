"""What every test finds: a quiet TensorFlow, a fresh data folder, no reader, no network.

The variables are set when this file is read, before any test module is: TensorFlow reads its
log level once, when it is imported, and the kernels that tests start inherit the rest.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# One folder a test process, workers of pytest-xdist included. `make test` gives one folder to all
# its layers, so that what is made once in the course is made once in a test run.
_OWN_HOME = "DATAHALL_TEST_HOME" not in os.environ
_HOME = Path(os.environ.get("DATAHALL_TEST_HOME") or tempfile.mkdtemp(prefix="datahall-test-"))

os.environ.update(
    {
        "DATAHALL_HOME": str(_HOME),
        "DATAHALL_HEADLESS": "1",  # nobody answers a guess
        "DATAHALL_OFFLINE_GUARD": "1",  # kernels refuse sockets to any but loopback addresses
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "JUPYTER_PLATFORM_DIRS": "1",
        "MPLBACKEND": "agg",
    }
)
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # kernels started by tests compile a module once
os.environ.pop("DATAHALL_STRICT", None)

# A shell that starts the tests in the background has them ignore Ctrl-C; some tests are about it.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The top folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session", autouse=True)
def _home_is_removed() -> Iterator[None]:
    yield
    if _OWN_HOME:
        shutil.rmtree(_HOME, ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Turn the skip of a browser test into a failure where a browser is promised."""
    outcome = yield
    report = outcome.get_result()
    promised = os.environ.get("DATAHALL_BROWSER_REQUIRED") == "1"
    if promised and report.skipped and item.get_closest_marker("browser"):
        report.outcome = "failed"
        report.longrepr = (
            f"{item.nodeid} was skipped although DATAHALL_BROWSER_REQUIRED=1: {call.excinfo}"
        )

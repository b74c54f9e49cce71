"""Real kernels, forked from real zygotes."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from jupyter_client.manager import KernelManager

from datahall.course import warm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")
ROOT = Path(__file__).resolve().parents[2]


class Kernel:
    """A kernel of the provisioner under test.

    Attributes:
        manager: Its kernel manager.
        client: A blocking client of it.
        process: Its process, as the provisioner holds it.
    """

    def __init__(self, environment: dict[str, str], **settings: Any) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(env=environment, **settings)
        self.process = self.manager.provisioner.process
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    @property
    def warm(self) -> bool:
        return self.manager.provisioner.warm

    @property
    def why_cold(self) -> str:
        return self.manager.provisioner.why_cold

    def run(self, code: str, *, timeout: float = 60) -> str:
        """Run a cell and return its texts and errors."""
        said: list[str] = []

        def hook(message: dict[str, Any]) -> None:
            content = message["content"]
            if "text" in content:
                said.append(content["text"])
            elif "data" in content:
                said.append(content["data"].get("text/plain", ""))
            elif "ename" in content:
                said.append(f"{content['ename']}: {content['evalue']}")

        self.client.execute_interactive(code, timeout=timeout, output_hook=hook)
        return "".join(said).strip()

    def end(self, *, now: bool = True) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=now)


Start = Callable[..., Kernel]


@pytest.fixture(scope="module", autouse=True)
def _provisioner() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_DEFAULT_PROVISIONER_NAME", "datahall-warm")
        patch.delenv("PYTHONPATH", raising=False)
        patch.delenv("MPLBACKEND", raising=False)
        patch.setattr(
            "jupyter_client.provisioning.factory.KernelProvisionerFactory._instance", None
        )
        yield


@pytest.fixture(scope="module")
def held(_provisioner: None) -> Iterator[dict[str, str]]:
    """The variables of an owner that lives as long as the tests of a file."""
    with warm.zygotes() as variables:
        yield variables


@pytest.fixture
def start(held: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Start kernels, warm unless told otherwise; they end with the test."""
    with contextlib.ExitStack() as stack:

        def begin(kind: str = "plain", *, variables: Any = None, **settings: Any) -> Kernel:
            environment = os.environ | held | {warm.KIND: kind} | (variables or {})
            settings.setdefault("cwd", str(tmp_path))
            settings.setdefault("stderr", stack.enter_context(Path(os.devnull).open("w")))
            kernel = Kernel(environment, **settings)
            stack.callback(kernel.end)
            return kernel

        yield begin


def zygotes_of(held: dict[str, str]) -> list[psutil.Process]:
    """Return the zygotes of an owner."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = process.cmdline()
            if "datahall.course.warm.zygote" in line and held[warm.FOLDER] in line:
                parent = process.parent()
                if parent is None or held[warm.FOLDER] not in parent.cmdline():
                    found.append(process)
    return found


def gone(*pids: int, within_s: float = 5.0) -> bool:
    """Tell whether processes have ended, or do within some seconds."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not any(_lives(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False

"""nbclient's client with what strictness needs: the kernel's process, hidden errors, our signals.

nbclient takes SIGINT and SIGTERM for the whole loop, so that with several notebooks one of them
ended as passed; here signals belong to whoever runs the loop.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_async
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError
from nbformat import NotebookNode
from traitlets import Type

from datahall.course.run.processes import Meter

START_LIMIT_S = 120  # for a kernel on a machine where many start at once
WARM = "datahall-warm"  # the name of the provisioner that forks kernels
ALIAS, NATIVE = "python", "python3"  # jupyter_client starts the second where the first is named
_HERE = Path(__file__).parent
_INSIDE, _OBSERVING = (
    (_HERE / name).read_text(encoding="utf-8") for name in ("inside.py", "observing.py")
)


class HearingChannel(AsyncZMQSocketChannel):
    """A channel on which no reply is lost that comes while something is sent.

    jupyter_client sends past asyncio, by which the socket's sign for what has come in is used up: a
    reply of that moment would wake nobody. nbclient sends so while it awaits a cell's reply, to
    tell an Output widget its outputs.
    """

    def send(self, msg: dict[str, Any]) -> None:
        """Send a message, then look what has come in meanwhile."""
        super().send(msg)
        self.socket.get(zmq.EVENTS)


class HearingClient(AsyncKernelClient):
    """A kernel's client with such a channel for requests and their replies."""

    shell_channel_class = Type(HearingChannel)


class Client(NotebookClient):
    """Executes one notebook in one kernel.

    Args:
        notebook: The notebook; its outputs are replaced.
        started: Called with the meter when the kernel runs.
        hidden: Called with cell index and error when a cell shows an error that it does not raise.
        warm: Whether the kernel may be forked from a warm one.
        observed: Where the kernel writes what it opened, imported and started, or None.
        **settings: nbclient's own.
    """

    def __init__(
        self,
        notebook: NotebookNode,
        *,
        started: Callable[[Client], None],
        hidden: Callable[[int, dict[str, Any]], None],
        warm: bool = False,
        observed: Path | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(notebook, startup_timeout=START_LIMIT_S, **settings)
        self._started, self._hidden, self._warm = started, hidden, warm
        self._observed = observed
        self.meter: Meter | None = None
        self.given_up = False  # whether somebody has stopped it
        self.provisioner: Any = None
        self.process: Any = None
        self._late: NotebookNode | None = None
        self._spec: Any = None

    @contextlib.asynccontextmanager
    async def async_setup_kernel(self, **options: Any) -> AsyncIterator[None]:
        """Start the kernel, yield, end the kernel; signal handlers are left alone."""
        try:
            await self._begin(options)
            if is_python(str(self._spec.language)):
                await self._run_silently(f"exec({_INSIDE!r}, {{}})")  # no name of ours stays
                if self._observed is not None:
                    names = {"TARGET": str(self._observed), "SOURCE": str(_HERE / "observing.py")}
                    await self._run_silently(f"exec({_OBSERVING!r}, {names!r})")
            yield
            if self._observed is not None:
                await self._run_silently("__import__('datahall_observing').observer.finish()")
        finally:
            if self.meter is not None:
                self.meter.stop()
            if self.km is not None:
                await self._async_cleanup_kernel()

    async def _begin(self, options: dict[str, Any]) -> None:
        """Start a kernel; once more if it dies before it answers.

        Kernels choose their ports before they bind them: of several that start at once, one may
        find its port taken.
        """
        connection = options.pop("connection_file", None)
        for last in (False, True):
            self.km = manager = self.create_kernel_manager()
            if connection:
                manager.connection_file = connection
            self._spec = manager.kernel_spec
            if self._warm and "kernel_provisioner" not in self._spec.metadata:
                self._spec.metadata["kernel_provisioner"] = {"provisioner_name": WARM}
            try:
                await self.async_start_new_kernel(**options)
                self._note_process(manager.provisioner)
                await self.async_start_new_kernel_client()
                return
            except RuntimeError:  # it died before it answered
                if last or self.given_up:
                    raise

    def _note_process(self, provisioner: Any) -> None:
        self.provisioner, self.process = provisioner, getattr(provisioner, "process", None)
        pid = getattr(provisioner, "pid", None)
        if self.meter is not None:
            self.meter.stop()
        self.meter = Meter(pid) if pid else None
        self._started(self)

    async def _run_silently(self, code: str) -> None:
        """Execute code that belongs to no cell; what becomes of it is not asked."""
        assert self.kc is not None  # noqa: S101 (made a moment ago)
        message = self.kc.execute(code, silent=True, store_history=False, allow_stdin=False)
        await self.async_wait_for_reply(message)

    def create_kernel_manager(self) -> AsyncKernelManager:
        """Return a manager for the kernel that is wanted."""
        self.km = AsyncKernelManager(
            kernel_name=self.kernel_name or NATIVE, client_factory=HearingClient
        )
        return self.km

    def process_message(
        self, msg: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        """Take our own messages out, leave the others to nbclient.

        Args:
            msg: What the kernel said.
            cell: The cell it is about.
            cell_index: Its position.
        """
        if msg["msg_type"] == "datahall_error":
            self._hidden(cell_index, msg["content"])
            return None
        found: NotebookNode | None = super().process_message(msg, cell, cell_index)
        return found

    async def _async_handle_timeout(
        self, timeout: int, cell: NotebookNode | None = None
    ) -> dict[str, Any] | None:
        """Interrupt a cell that is too late, once: nbclient would go on for ever."""
        if self._late is cell and cell is not None:
            raise CellTimeoutError.error_from_timeout_and_cell("not interrupted", timeout, cell)
        self._late = cell
        found: dict[str, Any] | None = await super()._async_handle_timeout(timeout, cell)
        return found

    async def interrupt(self) -> None:
        """Interrupt the kernel as the *Interrupt* button does."""
        if self.km is not None and self.km.has_kernel:
            with contextlib.suppress(RuntimeError, OSError):
                await ensure_async(self.km.interrupt_kernel())


def is_python(language: str) -> bool:
    """Tell whether a kernelspec's language is Python, however it is written.

    Example:
        >>> [is_python(name) for name in ("python", "Python3", "ipython", "julia")]
        [True, True, True, False]
    """
    return language.lower().removeprefix("i").startswith("python")


def installed() -> dict[str, str]:
    """Return the folders of the kernels of this machine, by name."""
    found: dict[str, str] = KernelSpecManager().find_kernel_specs()
    return found


def exists(name: str) -> bool:
    """Tell whether a kernel can be started by a name: Jupyter's own alias `python` too."""
    try:
        KernelSpecManager().get_kernel_spec(NATIVE if name == ALIAS else name)
    except NoSuchKernel:
        return False
    return True

"""The provisioner `datahall-warm`: a kernel is forked where that is safe, else it starts cold."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from datahall.course.warm import kinds, owner, request

_MODULE = ["-m", "ipykernel_launcher"]
_KNOWN = {"env", "cwd", "stdin", "stdout", "stderr", "independent", "kernel_id", "extra_arguments"}


class WarmProvisioner(LocalProvisioner):
    """LocalProvisioner, whose kernels come from a zygote where one can be had.

    Attributes:
        warm: Whether the kernel was forked from a zygote.
        why_cold: If it was not: why.
    """

    warm = False
    why_cold = ""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Fork the kernel, or start it as LocalProvisioner does."""
        self.warm, self.why_cold = False, ""
        try:
            with ThreadPoolExecutor(1) as thread:  # a zygote takes seconds to start
                work = partial(_fork, cmd, kwargs)
                forked = await asyncio.get_running_loop().run_in_executor(thread, work)
        except request.Cold as reason:
            self.why_cold = str(reason)
            self.log.info("The kernel starts cold: %s.", reason)
            return await super().launch_kernel(cmd, **kwargs)
        self.warm, self.process = True, forked
        self.pid = self.pgid = forked.pid
        self.cwd = kwargs.get("cwd") or Path.cwd()
        return self.connection_info

    async def get_provisioner_info(self) -> dict[str, Any]:
        """Return what is kept of this kernel."""
        kept = await super().get_provisioner_info()
        return dict(kept) | {"warm": self.warm, "why_cold": self.why_cold}


def _fork(command: list[str], settings: dict[str, Any]) -> Any:
    """Fork a kernel.

    Raises:
        Cold: It must be started cold; says why.
    """
    given = os.environ if settings.get("env") is None else settings["env"]
    environment = {os.fspath(name): os.fspath(value) for name, value in given.items()}
    folder = _folder(environment)
    kind = kinds.kind_for(environment)
    if kind not in kinds.WARM:
        raise request.Cold("this notebook asks for a cold kernel")
    options, arguments = _split(command)
    _check(settings, environment, kind)
    wish = request.Request(
        command=command,
        arguments=arguments,
        environment=environment | {"JPY_PARENT_PID": str(os.getpid())},
        folder=os.path.abspath(os.fspath(settings.get("cwd") or ".")),  # noqa: PTH100 (links stay)
    )
    from datahall.course.warm import starting

    with _standard_files(settings) as files:
        return starting.fork(wish, files, kind=kind, options=options, folder=folder)


def _folder(environment: dict[str, str]) -> Path:
    """Return the folder of zygotes, which must be this user's alone."""
    if sys.platform != "linux":
        raise request.Cold("kernels are forked on Linux only")
    chosen = environment.get(owner.FOLDER)
    if chosen is None:
        chosen = owner.find().get(owner.FOLDER, "")
    folder = Path(chosen)
    if not chosen or not folder.is_dir():
        raise request.Cold("nobody keeps zygotes")
    facts = folder.stat()
    if facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise request.Cold(f"others may enter {folder}")
    if not owner.is_owned(folder):
        raise request.Cold("the owner of the zygotes has ended")
    return folder


def _split(command: list[str]) -> tuple[list[str], list[str]]:
    """Return the interpreter's options and the kernel's arguments of a command of this Python."""
    if not command or os.path.expanduser(command[0]) != sys.executable:  # noqa: PTH111 (as Popen gets it)
        raise request.Cold("the kernel is not this environment's Python")
    place = next((i for i in range(1, len(command)) if command[i : i + 2] == _MODULE), 0)
    options = command[1:place]
    if not place or not all(option.startswith("-") for option in options):
        raise request.Cold("the kernel is not IPython's")
    return options, command[place + 2 :]


def _check(settings: dict[str, Any], environment: dict[str, str], kind: str) -> None:
    """Refuse what a zygote cannot give."""
    if unknown := {name for name in settings if settings[name] is not None} - _KNOWN:
        raise request.Cold(f"it is started with {', '.join(sorted(unknown))}")
    if settings.get("independent"):
        raise request.Cold("it shall outlive the process that starts it")
    if environment.get("PYTHONPATH"):
        raise request.Cold("PYTHONPATH is set, and modules there may change")
    if kind == "tensorflow" and any(Path("/dev").glob("nvidia*")):
        raise request.Cold("there is a GPU, whose context does not survive a fork")


@contextlib.contextmanager
def _standard_files(settings: dict[str, Any]) -> Iterator[list[int]]:
    """Give descriptors for the three standard streams, as Popen understands its arguments."""
    with contextlib.ExitStack() as stack:

        def opened(file: int) -> int:
            stack.callback(os.close, file)
            return file

        def meant(name: str, standard: int) -> int:
            given = settings.get(name)
            if given == subprocess.PIPE:
                raise request.Cold(f"{name} is a pipe of this process")
            if given == subprocess.DEVNULL:
                return opened(os.open(os.devnull, os.O_RDWR))
            if given is None:
                return standard
            return given if isinstance(given, int) else int(given.fileno())

        if settings.get("stdin") is None:  # closed at once, as for a cold kernel
            reader, writer = os.pipe()
            os.close(writer)
            given = opened(reader)
        else:
            given = meant("stdin", 0)
        output = meant("stdout", 1)
        error = output if settings.get("stderr") == subprocess.STDOUT else meant("stderr", 2)
        yield [given, output, error]

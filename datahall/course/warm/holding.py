"""`datahall warm`: hold zygotes for this user, where every lone call finds them, until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

from datahall.course.exits import Exit, InputError, MachineError
from datahall.course.warm import kinds, owner, request
from datahall.units import format_quantity


def hold(wanted: Sequence[str]) -> Exit:
    """Start zygotes of some kinds at the well-known folder, say what is held, and wait for Ctrl-C.

    Raises:
        InputError: A kind does not exist.
        MachineError: Kernels cannot be forked here, or somebody holds zygotes already.
    """
    for kind in wanted:
        if kind not in kinds.WARM:
            raise InputError(f"kind is {kind!r}. One of {', '.join(kinds.WARM)} was expected.")
    if sys.platform != "linux":
        raise MachineError("Kernels are forked on Linux only. Here every kernel starts cold.")
    with owner.zygotes(_place()) as held:
        for kind in dict.fromkeys(wanted):
            print(_start(Path(held[owner.FOLDER]), kind), flush=True)
        print("Ctrl-C ends them, and every kernel that came from them.", flush=True)
        _wait()
    return Exit.OK


def _place() -> Path:
    """Make the well-known folder, or take one that an ended owner left behind."""
    folder = owner.well_known()
    if owner.is_owned(folder):
        raise MachineError(f"`datahall warm` is running already, in {folder}. End the other first.")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise PermissionError(1, "it belongs to another user")
        folder.chmod(0o700)
        for left in folder.iterdir():
            left.unlink()  # sockets, logs and locks: the folder is ours alone
    except OSError as error:
        raise MachineError(
            f"The folder {folder} cannot be used ({error.strerror or error}). Set XDG_RUNTIME_DIR "
            "to a folder of yours."
        ) from error
    return folder


def _start(folder: Path, kind: str) -> str:
    """Start a zygote by forking one kernel that ends at once; return what is held now."""
    from datahall.course.warm import starting

    before = set(folder.glob("*.socket"))
    try:
        with starting.reached(folder, kind, [], dict(os.environ)) as channel:
            memory = psutil.Process(request.peer(channel)).memory_info().rss
    except request.Cold as reason:
        raise MachineError(f"No {kind} kernel can be forked: {reason}.") from reason
    new = {path.name for path in set(folder.glob("*.socket")) - before}
    return f"{kind}: {', '.join(sorted(new)) or 'held'}, {format_quantity(memory, 'B')}"


def _wait() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            signal.pause()

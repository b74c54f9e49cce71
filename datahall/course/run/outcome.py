"""Passed or not, and why: the verdict on one execution, from what was seen."""

from __future__ import annotations

import errno
import re
import signal

from nbclient.exceptions import CellTimeoutError, DeadKernelError

from datahall.course.run.execute import Execution
from datahall.course.run.results import Failure
from datahall.units import format_duration, format_quantity

_CONTROL = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]"  # colours, cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles, links
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


def judge(seen: Execution) -> tuple[str, Failure | None]:
    """Return the status of an execution, and its failure if it did not pass."""
    if seen.complete and seen.ready and seen.error is None and seen.stopped is None:
        return "passed", None
    kind, message, text = _cause(seen)
    left = (cell for cell in seen.cells if cell.status == "not run")
    cell = seen.current or (next(left, None) if kind == "unfinished" else None)
    failure = Failure(
        kind, message, cell.id if cell else None, cell.number if cell else None, traceback=text
    )
    return "interrupted" if kind == "stopped" else "failed", failure


def _cause(seen: Execution) -> tuple[str, str, str]:
    """Return kind, message and full text of what went wrong, the outermost cause first."""
    error = seen.error
    name = type(error).__name__ if error else ""
    text = _text(seen) or (f"{name}: {error}" if error else "")
    if seen.stopped == "timeout":
        limit = format_duration(seen.order.timeout_s or 0)
        return "timeout", f"the notebook was stopped at its time limit of {limit}", text
    if seen.stopped:
        return "stopped", "the run was interrupted here", text
    if isinstance(error, CellTimeoutError):
        limit = format_duration(seen.order.cell_timeout_s or 0)
        return "timeout", f"the cell was stopped at its time limit of {limit}", text
    if seen.reply is not None:
        return *_reply(seen), text
    if not seen.ready:
        how = f"the kernel did not start ({name}: {_first_line(str(error))})"
        return "kernel-start", how, _with_log(text, seen.log)
    if isinstance(error, DeadKernelError):
        return "kernel-died", _death(seen), _with_log("", seen.log)
    if error is not None:
        return "error", f"{name}: {_first_line(str(error))}", text
    return "unfinished", "the cell was not executed; is it tagged skip-execution?", text


def _reply(seen: Execution) -> tuple[str, str]:
    reply = seen.reply or {}
    name, value = str(reply.get("ename", "")), str(reply.get("evalue", ""))
    if seen.asked_to_exit:
        return (
            "exit",
            "the cell ended the kernel (exit or quit). A notebook must run to its last cell",
        )
    hidden = ", caught by a magic or a widget that only showed it" if reply.get("hidden") else ""
    if name == "SystemExit":
        how = f"the cell called sys.exit({clean(value)}){hidden}"
        return "exit", f"{how}. A notebook must run to its last cell"
    return "error", (f"{name}: {_first_line(value)}" if value else name) + hidden


def _death(seen: Execution) -> str:
    code = seen.exit_code
    if code is None:
        return "the kernel died"
    if code >= 0:
        return f"the kernel ended by itself with exit code {code}"
    how = f"the kernel was killed by signal {-code} ({signal_name(-code)})"
    if -code == signal.SIGKILL and seen.meter is not None:
        peak = format_quantity(seen.meter.peak_memory_bytes, "B")
        how += f"; it had used {peak} of memory: if that is near this machine's, it ran out"
    return how


def signal_name(number: int) -> str:
    """Return a signal's name; real-time signals have none but their distance from the first.

    Example:
        >>> signal_name(9), signal_name(signal.SIGRTMIN + 3)
        ('SIGKILL', 'SIGRTMIN+3')
    """
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"


def unwritable(error: OSError) -> str:
    """Return one line about an executed notebook that could not be written."""
    if error.errno == errno.ENOSPC:
        return (
            "the disk is full: the executed notebook could not be written. "
            "Free some space or choose another --output-dir"
        )
    return f"the executed notebook could not be written ({error.strerror or error})"


def _text(seen: Execution) -> str:
    lines = (seen.reply or {}).get("traceback") or []
    return clean("\n".join(map(str, lines)))


def _with_log(text: str, log: str) -> str:
    return "\n".join(part for part in (text, clean(log)) if part)


def clean(text: str) -> str:
    r"""Return text without what would move a terminal's cursor, change its colours or its title.

    Example:
        >>> clean("\x1b[31mred\x1b[0m and \x1b]0;title\x07done")
        'red and done'
    """
    return _CONTROL.sub("", text).encode("utf-8", "backslashreplace").decode()


def _first_line(text: str, limit: int = 300) -> str:
    line = next((line.strip() for line in clean(text).splitlines() if line.strip()), "")
    return line if len(line) <= limit else line[: limit - 1] + "…"

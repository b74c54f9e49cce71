"""Passed or not, and why: the verdict on one execution, from what was seen."""

from __future__ import annotations

import errno
import re
import signal

from datahall.course.run.results import Failure
from datahall.course.run.watch import Watch
from datahall.units import format_duration, format_quantity

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def judge(watch: Watch, error: BaseException | None, log: str) -> tuple[str, Failure | None]:
    """Return the status of an execution, and its failure if it did not pass.

    Args:
        watch: What was seen of it.
        error: What papermill raised, if anything.
        log: The end of what the kernel's process wrote outside of cells.
    """
    if watch.complete and watch.ready and error is None:
        return "passed", None
    kind, message, text = _cause(watch, error, log)
    left = (cell for cell in watch.cells if cell.status == "not run")
    cell = watch.current or (next(left, None) if kind == "unfinished" else None)
    failure = Failure(
        kind, message, cell.id if cell else None, cell.number if cell else None, traceback=text
    )
    return "interrupted" if kind == "stopped" else "failed", failure


def _cause(watch: Watch, error: BaseException | None, log: str) -> tuple[str, str, str]:
    """Return kind, message and full text of what went wrong, the outermost cause first."""
    name = type(error).__name__ if error else ""
    text = _text(watch) or (f"{name}: {error}" if error else "")
    if watch.stopped == "timeout":
        limit = format_duration(watch.job.timeout_s or 0)
        return "timeout", f"the notebook was stopped at its time limit of {limit}", text
    if watch.stopped:
        return "stopped", "the run was interrupted here", text
    if watch.reply is not None:
        return *_reply(watch), text
    if isinstance(error, OSError) and _is_about_output(error, watch):
        return "output", _unwritable(error), text
    if not watch.ready:
        how = f"the kernel did not start ({name}: {_first_line(str(error))})"
        return "kernel-start", how, _with_log(text, log)
    if name == "DeadKernelError" or (watch.process is not None and watch.signal):
        return "kernel-died", _death(watch), _with_log("", log)
    if error is not None:
        return "error", f"{name}: {_first_line(str(error))}", text
    return "unfinished", "the cell was not executed; is it tagged skip-execution?", text


def _reply(watch: Watch) -> tuple[str, str]:
    reply = watch.reply or {}
    name, value = reply.get("ename", ""), str(reply.get("evalue", ""))
    if watch.asked_to_exit:
        return (
            "exit",
            "the cell ended the kernel (exit or quit). A notebook must run to its last cell",
        )
    if name == "SystemExit":
        return "exit", f"the cell called sys.exit({value}). A notebook must run to its last cell"
    return "error", f"{name}: {_first_line(value)}" if value else name


def _death(watch: Watch) -> str:
    number = watch.signal
    how = "the kernel died"
    if number is not None:
        how = f"the kernel was killed by signal {number} ({signal.Signals(number).name})"
    elif watch.process is not None and watch.process.returncode is not None:
        how = f"the kernel ended by itself with exit code {watch.process.returncode}"
    if number == 9 and watch.meter is not None:
        peak = format_quantity(watch.meter.peak_memory_bytes, "B")
        how += f"; it had used {peak} of memory: if that is near this machine's, it ran out"
    return how


def _is_about_output(error: OSError, watch: Watch) -> bool:
    """Tell whether writing the executed notebook failed, rather than starting its kernel."""
    return error.errno in _DISK or str(error.filename or "").startswith(watch.job.output)


def _unwritable(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return (
            "the disk is full: the executed notebook could not be written. "
            "Free some space or choose another --output-dir"
        )
    return f"the executed notebook could not be written ({error.strerror})"


def _text(watch: Watch) -> str:
    lines = (watch.reply or {}).get("traceback") or []
    return _COLOURS.sub("", "\n".join(lines))


def _with_log(text: str, log: str) -> str:
    return "\n".join(part for part in (text, log) if part)


def _first_line(text: str, limit: int = 300) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= limit else line[: limit - 1] + "…"

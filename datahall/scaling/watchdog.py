"""Waits beside a job; when its launcher ends or is killed, ends the job and removes its folder.

Started as a program, by its path, with the folder and the job's name. Its standard input is a pipe
that the launcher holds: it writes the process groups into it that it starts, one number a line, and
negative those that it has ended. When it closes, the launcher has ended, in whatever way. Standard
library only: it starts in a hundredth of a second.
"""

import os
import select
import shutil
import signal
import sys
import time

PREFIX, MARK = "datahall-job-", ".datahall-job"
VARIABLE = "DATAHALL_JOB"  # the environment variable by which a job's processes are known
PATIENCE_S = 10.0


def marked(job: str) -> list[int]:
    """Return the living processes whose environment carries the job's name."""
    names = os.listdir("/proc") if os.path.isdir("/proc") else []
    numbers = [int(name) for name in names if name.isdigit() and int(name) != os.getpid()]
    return [number for number in numbers if _carries(number, f"{VARIABLE}={job}".encode())]


def _carries(number: int, variable: bytes) -> bool:
    try:
        with open(f"/proc/{number}/environ", "rb") as file:
            return variable in file.read().split(b"\0") and not _is_dead(number)
    except OSError:
        return False


def _is_dead(name: int) -> bool:
    with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"


def end(job: str, groups: list[int]) -> None:
    """Kill what the job started until none is left: one may be born while others end."""
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:
            continue
    deadline = time.monotonic() + PATIENCE_S
    while (alive := marked(job)) and time.monotonic() < deadline:
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        time.sleep(0.02)


def remove(folder: str) -> None:
    """Remove the job's folder, if it carries prefix and mark; leave anything else alone."""
    if not os.path.basename(folder).startswith(PREFIX) or os.path.islink(folder):
        return
    for _ in range(5):  # a process that is just ending may still write
        if not os.path.exists(os.path.join(folder, MARK)):
            return
        shutil.rmtree(folder, ignore_errors=True)


def wait() -> list[int]:
    """Wait for the end of the launcher; return the process groups that it has named."""
    parent, text = os.getppid(), b""
    while os.getppid() == parent:  # a copy of the pipe may live on in a fork of the launcher
        if select.select([0], [], [], 0.5)[0]:
            part = os.read(0, 4096)
            if not part:
                break
            text += part
    numbers = [int(word) for word in text.split()]
    return [number for number in numbers if number > 0 and -number not in numbers]


def main() -> None:
    """Wait, end, remove."""
    folder, job = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # what ends the launcher must not end its watchdog
    end(job, wait())
    remove(folder)


if __name__ == "__main__":
    main()

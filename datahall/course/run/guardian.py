"""Waits beside a run; if the run is killed, ends its processes and removes its scratch folder.

Started as a program, by its path, with the scratch folder and the run's id; its standard input is a
pipe that the run holds. A run that ends well says so through it. When the pipe closes without a
word, the run is gone. Standard library only: it starts in a hundredth of a second.
"""

import os
import shutil
import signal
import sys
import time

PREFIX, MARK = "datahall-run-", ".datahall-scratch"
MARKER = "DATAHALL_KERNEL"  # environment variable by which the run's processes are known
DONE = b"done\n"
GRACE_S = 10.0


def marked(run: str) -> list[int]:
    """Return the processes whose environment carries the run's marker."""
    names = os.listdir("/proc") if os.path.isdir("/proc") else []
    found = [int(name) for name in names if name.isdigit() and carries(name, run)]
    return [pid for pid in found if pid != os.getpid()]


def carries(name: str, run: str) -> bool:
    """Tell whether the environment of a process carries the run's marker."""
    wanted = f"{MARKER}={run}".encode()
    try:
        with open(f"/proc/{name}/environ", "rb") as file:
            values = file.read().split(b"\0")
    except OSError:
        return False
    return any(value == wanted or value.startswith(wanted + b"/") for value in values)


def end(run: str) -> None:
    """Kill the run's processes until none is left: one may be born while others end."""
    deadline = time.monotonic() + GRACE_S
    while time.monotonic() < deadline:
        alive = [pid for pid in marked(run) if state(pid) != "Z"]
        if not alive:
            return
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        time.sleep(0.05)


def state(pid: int) -> str:
    """Return the state of a process as the system names it; "Z" for one that has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return "Z"


def remove(path: str) -> bool:
    """Remove a scratch folder that carries prefix and mark; leave anything else alone."""
    try:
        with open(os.path.join(path, MARK), encoding="utf-8") as file:
            ours = file.read() == f"{path}\n"
    except (OSError, ValueError):
        return False
    if not ours or os.path.islink(path) or not os.path.basename(path).startswith(PREFIX):
        return False
    for _ in range(5):  # a process that is just ending may still write
        shutil.rmtree(path, ignore_errors=True)
        if not os.path.exists(path):
            break
        time.sleep(0.2)
    return True


def main() -> None:
    """Wait for a word or the end of the pipe."""
    path, run = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # what ends the run must not end its guardian
    if sys.stdin.buffer.read() != DONE:
        end(run)
        time.sleep(1.0)  # kernels that carry no marker notice by themselves that the run is gone
        remove(path)


if __name__ == "__main__":
    main()

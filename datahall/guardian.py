"""Waits beside a run or a job; if its owner is killed, ends its processes and removes its folder.

Started as a program, by its path, with the folder and the marker of the processes, `NAME=value` in
their environment. Its standard input is a pipe that the owner holds, with a word a line: a number
is a process group that has been started, a negative one a group that has ended, and `done` says
that the owner has cleared up itself. When the pipe closes without that word, or the owner has gone
while a fork of it holds the pipe, the owner has been killed. Standard library only: it starts in a
hundredth of a second.
"""

import os
import select
import shutil
import signal
import sys
import time

PREFIX, MARK = "datahall-", ".datahall-scratch"
DONE = b"done\n"
GRACE_S = 10.0


def marked(marker: str) -> list[int]:
    """Return the processes that carry a marker, `NAME=value` or `NAME=value/…`."""
    names = os.listdir("/proc") if os.path.isdir("/proc") else []
    found = [int(name) for name in names if name.isdigit() and carries(name, marker)]
    return [pid for pid in found if pid != os.getpid()]


def carries(name: str, marker: str) -> bool:
    """Tell whether the environment of a process carries a marker."""
    wanted = marker.encode()
    try:
        with open(f"/proc/{name}/environ", "rb") as file:
            values = file.read().split(b"\0")
    except OSError:
        return False
    return any(value == wanted or value.startswith(wanted + b"/") for value in values)


def end(marker: str, groups: "tuple[int, ...] | list[int]" = ()) -> None:
    """Kill groups and what carries a marker until none is left: one may be born meanwhile."""
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:
            continue
    deadline = time.monotonic() + GRACE_S
    while time.monotonic() < deadline:
        alive = [pid for pid in marked(marker) if state(pid) != "Z"]
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


def make(kind: str, where: "str | None" = None) -> str:
    """Make a temporary folder for a `run` or a `job`, with the mark by which `remove` knows it.

    Args:
        kind: A word of its name.
        where: The folder it stands in; None: where temporary files stand.
    """
    import tempfile

    path = os.path.realpath(tempfile.mkdtemp(prefix=f"{PREFIX}{kind}-", dir=where))
    with open(os.path.join(path, MARK), "w", encoding="utf-8") as file:
        file.write(f"{path}\n")
    return path


def remove(path: str) -> bool:
    """Remove a folder that `make` made; leave anything else alone.

    The folder must carry the prefix and, inside, the mark that names this very path: a folder of
    the user's, a copy, or a folder that a link leads to is never removed.

    Returns:
        Whether it was removed.
    """
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


def wait() -> "list[int] | None":
    """Wait for the owner's end; return the groups it has left, or None if it is done."""
    parent, text = os.getppid(), b""
    while os.getppid() == parent and not text.endswith(DONE):
        if select.select([0], [], [], 0.5)[0]:
            part = os.read(0, 4096)
            if not part:
                break
            text += part
    if text.endswith(DONE):
        return None
    numbers = [int(word) for word in text.split()]
    return [number for number in numbers if number > 0 and -number not in numbers]


def main() -> None:
    """Wait; clear up if the owner did not."""
    path, marker = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # what ends the owner must not end its guardian
    groups = wait()
    if groups is not None:
        end(marker, groups)
        time.sleep(1.0)  # kernels that carry no marker notice by themselves that the run is gone
        remove(path)


if __name__ == "__main__":
    main()

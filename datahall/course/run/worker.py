"""One worker process: executes notebooks one after another, and tells what it sees, line by line.

The runner starts it as `python -m datahall.course.run.worker`. It reads jobs and `stop` orders as
JSON lines from its standard input and writes events as JSON lines to its standard output: `ready`,
`kernel`, `cell`, `finished`, `broken`. When its input closes, because the runner is gone, it ends
its kernel and itself. Papermill is imported once, for many notebooks.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from datahall.course.run import folder
from datahall.course.run.jobs import Job

if TYPE_CHECKING:
    from datahall.course.run.watch import Watch

STOP_GRACE_S = 3.0  # between the interrupt that shows where a cell hangs and the end of its kernel


class Channel:
    """The line to the runner: events out, from any thread."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, event: str, **facts: Any) -> None:
        """Send one event; a runner that is gone is not an error here."""
        with self._lock:
            try:
                self._stream.write(json.dumps({"event": event, **facts}, default=str) + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                pass


class Orders:
    """The line from the runner: jobs are queued, a stop order reaches the notebook that runs."""

    def __init__(self, stream: TextIO) -> None:
        self.jobs: queue.Queue[Job | None] = queue.Queue()
        self.watch: Watch | None = None
        self.closed = threading.Event()
        threading.Thread(target=self._listen, args=(stream,), daemon=True).start()

    def _listen(self, stream: TextIO) -> None:
        for line in stream:
            order = json.loads(line)
            if "job" in order:
                self.jobs.put(Job(**order["job"]))
            elif self.watch is not None:
                self.watch.stop(order["stop"], STOP_GRACE_S)
            else:
                self.closed.set()  # before the first cell: what is queued will not begin
        self.closed.set()
        if self.watch is not None:
            self.watch.stop("orphaned", 0.0)
        self.jobs.put(None)


def main() -> None:
    """Serve jobs until the input closes."""
    runner, scratch = os.getppid(), Path(sys.argv[1]).resolve()
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not be taken for an event
    channel, orders = Channel(events), Orders(sys.stdin)
    # Building this grammar takes a second of each worker; notebooks are checked without it.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    from datahall.course.run import execution

    channel.send("ready")
    while (job := orders.jobs.get()) is not None:
        try:
            execution.execute(job, channel, orders)
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            channel.send("broken", index=job.index, message=text, traceback=traceback.format_exc())
        finally:
            orders.watch = None
    if os.getppid() != runner:
        folder.remove_scratch(scratch)  # now nobody's; never the working folder: papermill moves it
    os._exit(0)  # everything is written; threads of libraries must not keep a worker alive


if __name__ == "__main__":
    main()

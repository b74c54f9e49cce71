"""Runs inside a kernel: what the notebook opens, lists, imports and starts, for the cache.

Sent to the kernel as text before the first cell, with `TARGET` set to the file in which the
observations are written after the last one. A Python audit hook sees what Python opens; files that
a library opens in C it does not see.
"""

PARTS = ("socket.", "subprocess.", "os.fork", "os.exec", "os.spawn", "os.posix_spawn", "pty.")


class Observer:
    """Sees what this process opens, lists, writes and starts."""

    def __init__(self):
        import os
        import threading

        self.os, self.me, self.busy = os, os.getpid(), threading.local()
        self.opened, self.listed, self.wrote, self.started = set(), set(), set(), set()

    def hook(self, event, arguments):
        """Take an audit event of the interpreter."""
        if self.os.getpid() != self.me or getattr(self.busy, "on", False):
            return
        self.busy.on = True
        try:
            self.take(event, arguments)
        except (TypeError, ValueError, OSError):
            self.started.add(event)  # what cannot be understood is not cached
        finally:
            self.busy.on = False

    def take(self, event, arguments):
        """Note an event."""
        os = self.os
        if event == "open":
            path, _, flags = arguments
            writes = flags & (os.O_WRONLY | os.O_RDWR) if isinstance(flags, int) else 0
            self.note(self.wrote if writes else self.opened, path)
        elif event in ("os.listdir", "os.scandir", "glob.glob"):
            self.note(self.listed, os.getcwd() if arguments[0] is None else arguments[0])
        elif event in ("os.rename", "os.link", "os.symlink"):
            self.note(self.wrote, arguments[1])
        elif event == "os.system" or event.startswith(PARTS):
            self.started.add(event)

    def note(self, where, path):
        """Keep a path, absolute; a file that is open already has none."""
        if not isinstance(path, int):
            where.add(self.os.path.abspath(self.os.fsdecode(path)))

    def finish(self):
        """Write what was seen."""
        import json
        import sys

        self.busy.on = True
        place = self.os.path
        files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
        found = {
            "opened": sorted(self.opened),
            "listed": sorted(self.listed),
            "wrote": sorted(self.wrote),
            "started": sorted(self.started),
            "imported": sorted({place.abspath(file) for file in files if file}),
            "prefixes": sorted({place.realpath(p) for p in (sys.prefix, sys.base_prefix)}),
        }
        with open(TARGET, "w", encoding="utf-8") as file:  # noqa: F821 (set before this text)
            json.dump(found, file)


def _observe():
    import sys

    observer = Observer()
    sys.addaudithook(observer.hook)
    sys.modules["datahall_observing"] = type(sys)("datahall_observing")
    sys.modules["datahall_observing"].finish = observer.finish


if "TARGET" in globals():
    _observe()

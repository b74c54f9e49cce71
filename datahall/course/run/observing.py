"""Runs inside a kernel: what the notebook opens, lists, imports and starts, for the cache.

Sent to the kernel as text before the first cell, with `TARGET` set to the file in which the
observations are written after the last one. A Python audit hook sees what Python opens; files that
a library opens in C it does not see.
"""


def _observe(target):
    import json
    import os
    import sys
    import threading

    opened, listed, wrote, started = set(), set(), set(), set()
    me, busy = os.getpid(), threading.local()
    parts = ("socket.", "subprocess.", "os.fork", "os.exec", "os.spawn", "os.posix_spawn", "pty.")

    def place(path):
        if isinstance(path, int):
            return None
        return os.path.abspath(os.fsdecode(path))

    def hook(event, arguments):
        if os.getpid() != me or getattr(busy, "on", False):
            return
        busy.on = True
        try:
            if event == "open":
                path, _, flags = arguments
                writes = flags & (os.O_WRONLY | os.O_RDWR) if isinstance(flags, int) else 0
                (wrote if writes else opened).add(place(path))
            elif event in ("os.listdir", "os.scandir", "glob.glob"):
                listed.add(place(arguments[0]) if arguments[0] is not None else os.getcwd())
            elif event in ("os.rename", "os.link", "os.symlink"):
                wrote.add(place(arguments[1]))
            elif event == "os.system" or event.startswith(parts):
                started.add(event)
        except (TypeError, ValueError, OSError):
            started.add(event)  # what cannot be understood is not cached
        finally:
            busy.on = False

    def finish():
        busy.on = True
        files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
        found = {
            "opened": sorted(filter(None, opened)),
            "listed": sorted(filter(None, listed)),
            "wrote": sorted(filter(None, wrote)),
            "started": sorted(started),
            "imported": sorted({os.path.abspath(file) for file in files if file}),
            "prefixes": sorted({os.path.realpath(p) for p in (sys.prefix, sys.base_prefix)}),
        }
        with open(target, "w", encoding="utf-8") as file:
            json.dump(found, file)

    sys.addaudithook(hook)
    sys.modules["datahall_observing"] = type(sys)("datahall_observing")
    sys.modules["datahall_observing"].finish = finish


if "TARGET" in globals():
    _observe(TARGET)  # noqa: F821 (set before this text)

"""Sees, for the cache, what a notebook opens, lists, imports and starts.

A Python audit hook sees what Python opens; files that a library opens in C it does not see. It runs
in two places and is of no package there:

- in a kernel: sent as text before the first cell, with `TARGET` and `SOURCE` set. What was seen is
  written into the file TARGET after the last cell.
- in a program of the course that the notebook starts through `datahall.programs`: this file is its
  script, `python observing.py TARGET MODULE ARGUMENT …` in place of `python -m MODULE ARGUMENT …`.
  Each observation is written before what it tells of happens, so that a program which is killed has
  told all. It holds a lock on its file as long as it lives.

Any other process, and a program that told nothing or still runs at the end, counts as started.
"""

# Two questions about the machine that libraries ask when they are imported: can it do IPv6, and
# what is its processor called. A warm kernel has asked them before it is observed.
QUESTIONS = (("_has_ipv6", "urllib3/util/connection.py"), ("from_subprocess", "platform.py"))
PARTS = ("socket.", "subprocess.", "os.fork", "os.exec", "os.spawn", "os.posix_spawn", "pty.")


class Observer:
    """Sees what this process opens, lists, writes and starts.

    Args:
        target: The file of its observations.
        source: This file.
    """

    def __init__(self, target, source):
        import os
        import threading

        self.os, self.me, self.busy = os, os.getpid(), threading.local()
        self.target, self.source, self.expected = target, source, {}
        kinds = ("opened", "listed", "wrote", "started", "programs")
        self.seen = {kind: set() for kind in kinds}

    def install(self):
        """Begin to see, and be found by `datahall.programs`."""
        import sys

        sys.addaudithook(self.hook)
        sys.modules["datahall_observing"] = type(sys)("datahall_observing")
        sys.modules["datahall_observing"].observer = self

    def hook(self, event, arguments):
        """Take an audit event of the interpreter."""
        if self.os.getpid() != self.me or getattr(self.busy, "on", False):
            return
        self.busy.on = True
        try:
            self.take(event, arguments)
        except (TypeError, ValueError, OSError):
            self.add("started", event)  # what cannot be understood is not cached
        finally:
            self.busy.on = False

    def take(self, event, arguments):
        """Note an event."""
        os = self.os
        if event == "open":
            path, _, flags = arguments
            writes = flags & (os.O_WRONLY | os.O_RDWR) if isinstance(flags, int) else 0
            self.note("wrote" if writes else "opened", path)
        elif event == "import" and arguments[1] is not None:
            self.note("opened", arguments[1])
        elif event in ("os.listdir", "os.scandir", "glob.glob"):
            self.note("listed", os.getcwd() if arguments[0] is None else arguments[0])
        elif event in ("os.rename", "os.link", "os.symlink"):
            self.note("wrote", arguments[1])
        elif event == "subprocess.Popen" and self.is_ours(*arguments[:2]):
            return
        elif event == "os.system" or (event.startswith(PARTS) and not asks_the_machine()):
            self.add("started", event)

    def note(self, kind, path):
        """Keep a path, absolute, the source of bytecode; an open file has none."""
        if isinstance(path, int):
            return
        path = self.os.path.abspath(self.os.fsdecode(path))
        folder, name = self.os.path.split(path)
        if name.endswith(".pyc") and self.os.path.basename(folder) == "__pycache__":
            path = self.os.path.join(self.os.path.dirname(folder), name.partition(".")[0] + ".py")
        self.add(kind, path)

    def add(self, kind, value):
        """Keep an observation."""
        self.seen[kind].add(value)

    def command(self, module, arguments):
        """Return the command of a program that is observed, and expect it, once."""
        import sys

        target = f"{self.target}.{self.os.urandom(8).hex()}"
        command = [sys.executable, self.source, target, module, *arguments]
        self.expected[tuple(command)] = target
        return command

    def is_ours(self, executable, command):
        """Tell whether a process is an expected program; its file is kept if it is."""
        command = tuple(command) if isinstance(command, list) else ()
        if command not in self.expected or executable != command[0]:
            return False
        self.add("programs", self.expected.pop(command))
        return True

    def finish(self):
        """Write what was seen, here and by the programs."""
        import json
        import sys

        self.busy.on = True
        place = self.os.path
        told = set()
        while more := self.seen["programs"] - told:  # a program may have started others
            for program in more:
                self.hear(program)
            told |= more
        files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
        found = {kind: sorted(values) for kind, values in self.seen.items()}
        found["imported"] = sorted({place.abspath(file) for file in files if file})
        found["prefixes"] = sorted({place.realpath(p) for p in (sys.prefix, sys.base_prefix)})
        with open(self.target, "w", encoding="utf-8") as file:
            json.dump(found, file)

    def hear(self, program):
        """Add what a program told; one that still runs, or did not begin, could tell more."""
        import fcntl
        import json

        try:
            with open(program, encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                observations = [json.loads(line) for line in file]
            if not observations:
                raise ValueError
            for kind, value in observations:
                self.seen[kind].add(value)
        except (OSError, ValueError, KeyError, TypeError):
            self.seen["started"].add("a program that is not known to have told all")


def asks_the_machine():
    """Tell whether the event came from one of the `QUESTIONS`, asked by the library itself."""
    import sys
    import traceback

    for frame, _ in traceback.walk_stack(sys._getframe(3)):  # behind hook and take
        name, file = frame.f_code.co_name, frame.f_code.co_filename
        inside = file.startswith((sys.prefix, sys.base_prefix))
        if inside and any(name == asked and file.endswith(by) for asked, by in QUESTIONS):
            return True
    return False


class Program(Observer):
    """Sees what a program of the course does, and tells it at once."""

    def __init__(self, target, source):
        import fcntl
        import json

        super().__init__(target, source)
        os, self.json = self.os, json
        self.file = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        fcntl.flock(self.file, fcntl.LOCK_EX)
        self.add("opened", os.path.abspath(source))

    def add(self, kind, value):
        """Write an observation that is new; where that fails, nothing happens unseen."""
        if value in self.seen[kind]:
            return
        self.seen[kind].add(value)
        try:
            self.os.write(self.file, self.json.dumps([kind, value]).encode() + b"\n")
        except OSError:
            self.os._exit(1)


def _run_program():
    """Be the module that the command names, observed."""
    import os
    import runpy
    import sys

    program = Program(sys.argv[1], __file__)
    del sys.argv[:2]
    if not sys.flags.safe_path:
        sys.path[0] = os.getcwd()  # as with `-m`
    program.install()
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if "TARGET" in globals():
    Observer(TARGET, SOURCE).install()  # noqa: F821 (set before this text)
elif __name__ == "__main__":
    _run_program()

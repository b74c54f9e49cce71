"""A guardian for a folder and for processes: whatever ends their owner, they end with it.

`Guardian` starts the program of `datahall.guardian` and speaks to it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from datahall import guardian


class Guardian:
    """Waits beside this process; when it is killed, ends what carries the marker.

    Args:
        folder: Of the owner, made by `guardian.make`; it is removed at the end.
        marker: `NAME=value` in the environment of the owner's processes.
    """

    def __init__(self, folder: Path | str, marker: str) -> None:
        self._folder, self._marker = str(folder), marker
        self._process = subprocess.Popen(  # noqa: S603 (our own program)
            [sys.executable, "-I", "-S", guardian.__file__, self._folder, marker],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # No marker of a run that this one is part of: who ends that run by its marker kills
            # the owner, and the guardian must outlive the owner to clear up.
            env={"PATH": os.environ.get("PATH", os.defpath)},
            start_new_session=True,  # neither Ctrl-C nor a closed terminal ends it
            cwd="/",
        )

    def tell(self, number: int) -> None:
        """Name a process group: to be ended with the owner, or, negative, ended already.

        Args:
            number: Of the group.
        """
        assert self._process.stdin is not None  # noqa: S101 (a pipe)
        with contextlib.suppress(OSError):
            self._process.stdin.write(f"{number}\n".encode())
            self._process.stdin.flush()

    def close(self) -> None:
        """End the processes, remove the folder, and send the guardian home."""
        guardian.end(self._marker)
        guardian.remove(self._folder)
        with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
            self._process.communicate(guardian.DONE, timeout=10)

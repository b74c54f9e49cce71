"""What is wanted once only: a mark for each such request, forgotten when it cannot come back.

A request is answered only with a good token, so its mark may go when the longest token has expired.
Where so many marks are alive that there is no room, a request is refused and none is forgotten:
else whoever sends enough of them could send an old one again.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from pathlib import Path

from datahall.serving.lifetimes import LONGEST_S
from datahall.serving.protocol import refuse

MOST = 200_000  # marks alive at a time; a file without content each
SWEEP_S = 60.0  # at least, between two looks for what has expired


class Nonces:
    """The marks of one service.

    Args:
        folder: Where its replicas share them; None keeps them in this process.
        keep_s: How long a mark stays, in seconds.
        most: How many may be alive.
    """

    def __init__(
        self, folder: Path | None = None, *, keep_s: float = LONGEST_S, most: int = MOST
    ) -> None:
        self._folder, self._keep_s, self._most = folder, keep_s, most
        self._seen: OrderedDict[str, float] = OrderedDict()  # when each was made
        self._alive, self._swept = 0, 0.0

    def met(self, mark: str, now: float | None = None) -> bool:
        """Tell whether a mark is there already, and make it.

        Args:
            mark: A name for a file: letters and digits.
            now: Seconds since 1970; left out, the clock says it.

        Raises:
            RefusedError: There is no room for another mark.
        """
        now = time.time() if now is None else now
        if self._is_due(now):
            self._sweep(now)
        if self._alive >= self._most:
            refuse(503, "no_nonces", "There is no room for another request that is once only.")
        met = self._in_memory(mark, now) if self._folder is None else self._in_folder(mark, now)
        self._alive += not met
        return met

    def _is_due(self, now: float) -> bool:
        """Tell whether to look for what has expired: at a quarter of a life, or when it is full."""
        waits = SWEEP_S if self._alive >= self._most else max(SWEEP_S, self._keep_s / 4)
        return not 0 <= now - self._swept < waits

    def _in_memory(self, mark: str, now: float) -> bool:
        if mark in self._seen:
            return True
        self._seen[mark] = now
        return False

    def _in_folder(self, mark: str, now: float) -> bool:
        path = f"{self._folder}/{mark}"
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            os.utime(path, (now, now))
        except FileExistsError:
            return True
        except OSError:  # a full disk: what cannot be remembered is not answered
            refuse(503, "no_nonces", "It cannot be noted that this request is once only.")
        return False

    def _sweep(self, now: float) -> None:
        """Forget what has expired, and count the rest: other replicas make marks as well."""
        self._swept, oldest = now, now - self._keep_s
        if self._folder is None:
            for mark in [one for one, made in self._seen.items() if made < oldest]:
                del self._seen[mark]
            self._alive = len(self._seen)
            return
        try:
            with os.scandir(self._folder) as entries:
                self._alive = sum(not _is_gone(entry, oldest) for entry in entries)
        except OSError:
            refuse(503, "no_nonces", "It cannot be noted that this request is once only.")


def _is_gone(entry: os.DirEntry[str], oldest: float) -> bool:
    """Remove a mark that is older than that; tells whether it is gone."""
    try:
        if entry.stat(follow_symlinks=False).st_mtime >= oldest:
            return False
        os.unlink(entry.path)  # noqa: PTH108 (a mark that a replica of this service made)
    except OSError:  # another replica was faster
        return True
    return True

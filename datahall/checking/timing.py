"""A timer that ends a call from inside: it raises `Halt` in the middle of the learner's code."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType
from typing import Any

from datahall.checking.halting import Halt

REAL_PER_CPU = 2.5  # times its CPU seconds a call may take in real ones: others use the machine too
_AGAIN_S = 0.1


class Timer:
    """Raises `Halt("time")` after so many CPU seconds, or two and a half times as many real ones.

    It rings again every tenth of a second: an answer that swallows the first bell with a bare
    `except` often meets the second outside it. Without signals (on Windows, or outside of the main
    thread) it never rings.

    Args:
        seconds: CPU seconds of the whole process, all threads counted.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._armed = False
        self._handlers: list[tuple[int, Any]] = []
        self._before: list[tuple[int, tuple[float, float]]] = []
        self._started = 0.0

    def start(self) -> None:
        """Set the timers."""
        main = threading.current_thread() is threading.main_thread()
        if not hasattr(signal, "setitimer") or not main:
            return
        bells = [
            (signal.ITIMER_PROF, signal.SIGPROF, self.seconds),
            (signal.ITIMER_REAL, signal.SIGALRM, REAL_PER_CPU * self.seconds),
        ]
        self._started = time.monotonic()
        self._handlers = [(number, signal.signal(number, self._ring)) for _, number, _ in bells]
        self._armed = True
        for which, _, delay in bells:
            self._before.append((which, signal.setitimer(which, delay, _AGAIN_S)))

    def stop(self) -> None:
        """Put everything back, also timers of somebody else; to be called again if it rang."""
        self._armed = False
        for which, _ in self._before:
            signal.setitimer(which, 0)
        while self._handlers:
            signal.signal(*self._handlers.pop())
        passed_s = time.monotonic() - self._started
        while self._before:
            which, (left, interval) = self._before.pop()
            if left:  # for instance pytest-timeout's
                signal.setitimer(which, max(left - passed_s, 0.001), interval)

    def _ring(self, _signal: int, _frame: FrameType | None) -> None:
        if self._armed:
            raise Halt("time")

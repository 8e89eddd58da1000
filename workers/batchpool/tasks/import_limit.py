"""A limit on the time that users' modules may take to be imported."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

IMPORT_LIMIT_S = 45.0
"""For all modules together; less than a worker waits for its runner, which imports them."""
_LEAST_S = 0.2


class ImportTimeout(BaseException):
    """A module took too long; no Exception, so that no handler of the module takes it for its own.

    What is stuck in C code, and does not return to Python, cannot be ended by it.
    """


class ImportLimit:
    """What is left of a time for several imports, in the main thread; elsewhere nothing is limited.

    Args:
        seconds: for all; each import has a little at least. None is no limit.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._ends_s = monotonic() + (seconds or 0)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Raise ImportTimeout in the block when the time is up."""
        if self._seconds is None or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGALRM, self._raise)
        signal.setitimer(signal.ITIMER_REAL, max(_LEAST_S, self._ends_s - monotonic()))
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def _raise(self, *_: object) -> None:
        raise ImportTimeout(f"not imported within {self._seconds:g} s, all modules together")

"""Waiting for what must come true, on a machine that may be busy with something else.

A time in a test is what a quiet machine takes. Whatever takes longer is shown in the summary of
the run, for a reader to judge; the test fails at five times that.
"""

import time
import warnings
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 5
MOST_PAUSE_S = 0.1
_Found = TypeVar("_Found")


def wait_until(
    condition: Callable[[], _Found], within_s: float = 10, what: str = "what was waited for"
) -> _Found:
    """The first true value of `condition`, asked again after a part of what it took so far.

    A condition may cost a request: asked every few milliseconds, it takes the CPU from what it
    waits for.
    """
    started = time.monotonic()
    while not (found := condition()):
        waited = time.monotonic() - started
        assert waited < PATIENCE * within_s, f"not within {PATIENCE} × {within_s} s: {what}"
        time.sleep(min(MOST_PAUSE_S, 0.005 + waited / 10))
    check_time(what, time.monotonic() - started, within_s)
    return found


def check_time(what: str, took_s: float, promised_s: float) -> None:
    """Fail what took far longer than promised, and show what took longer."""
    told = f"slower than promised: {what}: {took_s:.2f} s of {promised_s:g} s"
    assert took_s < PATIENCE * promised_s, told
    if took_s > promised_s:
        warnings.warn(told, stacklevel=2)

"""The version and GIL of this interpreter, as records, classes and reports show them."""

import contextlib
import sys
from collections.abc import Iterator

from batchpool.system.cpython_internals import is_gil_enabled

_SWITCH_S = 0.0005


def python_minor() -> str:
    """`3.14`: what decides whether a batch can run here."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def gil_enabled() -> bool:
    """Whether this interpreter runs Python code in one thread at a time."""
    return is_gil_enabled()


@contextlib.contextmanager
def quick_switches() -> Iterator[None]:
    """Give up the GIL to another thread that wants it after half a millisecond.

    Else each time that a thread wants it beside tasks that compute takes 5 ms per thread: a
    measurement of 25 ms lasts 200.
    """
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before_s)

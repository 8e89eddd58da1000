"""Tasks that write down each run themselves, so that re-runs are counted without the ledger."""

import asyncio
import ctypes
import os
import signal
import threading
import time
from dataclasses import dataclass
from typing import Any

from batchpool.tasks import task


@dataclass(frozen=True)
class LoggedParams:
    """The file that each run is appended to, and how long a run takes."""

    path: str
    seconds: float = 0.0


@task("logged", params=LoggedParams)
def logged(item: Any, params: LoggedParams) -> Any:
    """Sleep, then append `index pid time` to a file; return the item."""
    time.sleep(params.seconds)
    _log(item, params.path)
    return item


@logged.async_form
async def _(item: Any, params: LoggedParams) -> Any:
    await asyncio.sleep(params.seconds)
    _log(item, params.path)
    return item


def _log(item: Any, path: str) -> None:
    line = f"{item} {os.getpid()} {time.monotonic()}\n".encode()
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(log, line)
    finally:
        os.close(log)


@task("stuck-in-c")
def stuck_in_c(item: Any) -> Any:
    """Hold the GIL in C code for a minute: no signal handler and no other thread gets a turn."""
    ctypes.PyDLL(None).sleep(60)
    return item


@task("stubborn")
def stubborn(item: Any) -> Any:
    """Ignore SIGTERM, and swallow whatever is raised to end it."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            time.sleep(1)
        except BaseException:
            continue
    return item


@task("huge")
def huge(item: Any) -> Any:
    """Return 100 MB for one item, and the item for the others."""
    return "x" * (100 << 20) if item == 1 else item

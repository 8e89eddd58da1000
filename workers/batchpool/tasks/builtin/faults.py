"""Tasks that go wrong on purpose: for tests and lessons."""

import os
import signal
import sys
import threading
import time
import zlib
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Interval, MaxLen

from batchpool.tasks.decorator import task

How = Literal["exit", "sigkill", "segfault", "sysexit"]
Leaves = Literal["thread", "child", "grandchild"]


class TaskFailed(Exception):
    """What the task `fail` raises."""


@dataclass(frozen=True)
class FailParams:
    """Which items fail, and what they say."""

    message: Annotated[str, MaxLen(10_000)] = "failed on purpose"
    share: Annotated[float, Interval(ge=0, le=1)] = 1.0


@dataclass(frozen=True)
class CrashParams:
    """How a process ends, and on which item; with no item named, on every one."""

    how: How = "exit"
    item: int | str | None = None


@dataclass(frozen=True)
class LeakParams:
    """What is left behind, and for how long it would live."""

    leaves: Leaves = "thread"
    seconds: Annotated[float, Interval(ge=0, le=3600)] = 60.0


@task("fail", params=FailParams)
def fail(item: Any, params: FailParams) -> Any:
    """Raise an error for a share of the items, the same ones in each run; return the others."""
    if zlib.crc32(repr(item).encode()) / 2**32 < params.share:
        raise TaskFailed(params.message)
    return item


@fail.async_form
async def _(item: Any, params: FailParams) -> Any:
    return fail(item, params)


@task("crash", params=CrashParams)
def crash(item: Any, params: CrashParams) -> Any:
    """End the process in which it runs: by exit, a signal, a bad pointer, or SystemExit."""
    if params.item is not None and item != params.item:
        return item
    if params.how == "exit":
        os._exit(1)
    elif params.how == "sigkill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif params.how == "segfault":
        # Here, not above: a sub-interpreter that never crashes need not be able to load it.
        import ctypes

        ctypes.string_at(0)
    raise SystemExit("crashed on purpose")


@crash.async_form
async def _(item: Any, params: CrashParams) -> Any:
    return crash(item, params)


@task("leak", params=LeakParams)
def leak(item: Any, params: LeakParams) -> Any:
    """Leave a thread, a child process, or an orphan in a session of its own; return the item."""
    if params.leaves == "thread":
        _leave_thread(params.seconds)
    else:
        sleeper = f"import time; time.sleep({params.seconds})"
        if params.leaves == "grandchild":
            args = [sys.executable, "-c", sleeper]
            sleeper = f"import subprocess; subprocess.Popen({args!r}, start_new_session=True)"
        # Not subprocess: it keeps track of what it started, and here nobody is to.
        pid = os.posix_spawn(sys.executable, [sys.executable, "-c", sleeper], os.environ)
        if params.leaves == "grandchild":
            os.waitpid(pid, 0)
    return item


def _leave_thread(seconds: float) -> None:
    try:
        thread = threading.Thread(target=time.sleep, args=(seconds,), daemon=True)
    except RuntimeError:  # sub-interpreters allow no daemon threads
        thread = threading.Thread(target=time.sleep, args=(seconds,))
    thread.start()


@leak.async_form
async def _(item: Any, params: LeakParams) -> Any:
    return leak(item, params)

"""The tasks that the contract suite runs."""

import asyncio
import ctypes
import multiprocessing
import os
import signal
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from batchpool_tasks import _meeting

from batchpool.tasks import task


@dataclass(frozen=True)
class MeetParams:
    """Where tasks meet, and how many must be there; items below `first` do not wait."""

    folder: str
    parties: int
    first: int = 0


@dataclass(frozen=True)
class FolderParams:
    """A folder for the task's notes."""

    folder: str


@dataclass(frozen=True)
class CrowdParams:
    """A folder for the task's notes, and how many tasks must have been in flight at once."""

    folder: str
    parties: int = 1


@task("meet", params=MeetParams)
def meet(item: Any, params: MeetParams) -> Any:
    """Wait until `parties` tasks are in this function at once."""
    if item < params.first:
        return item
    _meeting.arrive(params.folder, item)
    end = _meeting.deadline_s()
    while _meeting.count_arrived(params.folder) < params.parties:
        if time.monotonic() > end:
            raise TimeoutError("the others did not come")
        time.sleep(0.002)
    return item


@meet.async_form
async def _(item: Any, params: MeetParams) -> Any:
    if item < params.first:
        return item
    _meeting.arrive(params.folder, item)
    end = _meeting.deadline_s()
    while _meeting.count_arrived(params.folder) < params.parties:
        if time.monotonic() > end:
            raise TimeoutError("the others did not come")
        await asyncio.sleep(0.002)
    return item


@task("crowd", params=CrowdParams)
def crowd(item: Any, params: CrowdParams) -> Any:
    """Count how many tasks are in flight at once; leave when there once were `parties`."""
    _meeting.enter(params.folder)
    end = _meeting.deadline_s()
    while _meeting.highest(params.folder) < params.parties and time.monotonic() < end:
        time.sleep(0.002)
    time.sleep(0.01)
    _meeting.leave(params.folder)
    return item


@crowd.async_form
async def _(item: Any, params: CrowdParams) -> Any:
    _meeting.enter(params.folder)
    end = _meeting.deadline_s()
    while _meeting.highest(params.folder) < params.parties and time.monotonic() < end:
        await asyncio.sleep(0.002)
    await asyncio.sleep(0.01)
    _meeting.leave(params.folder)
    return item


@task("whereabouts")
def whereabouts(item: Any) -> list[Any]:
    """Say where this runs, as the kernel sees it."""
    status = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()
    return [os.getpid(), int(status[1]), threading.get_native_id(), threading.current_thread().name]


@whereabouts.async_form
async def _(item: Any) -> list[Any]:
    await asyncio.sleep(0)
    return whereabouts(item)


class Picky(Exception):
    """An exception that can be pickled, but not unpickled."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(one)


@task("odd")
def odd(item: str) -> Any:
    """Return or raise something that gives trouble on its way."""
    if item == "picky":
        raise Picky(1, 2)
    if item == "unprintable":
        raise _unprintable()("x")
    if item == "exit":
        raise SystemExit(3)
    if item == "interrupt":
        raise KeyboardInterrupt
    if item == "stop":
        raise StopIteration
    if item == "cancelled":
        raise asyncio.CancelledError
    return _values()[item]()


@odd.async_form
async def _(item: str) -> Any:
    await asyncio.sleep(0)
    try:
        return odd(item)
    except StopIteration as stop:
        raise RuntimeError("StopIteration") from stop


def _unprintable() -> type[Exception]:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    return Unprintable


class Liar(dict):  # type: ignore[type-arg]
    """A dict whose reading ends the program."""

    def items(self) -> Any:
        raise SystemExit("read")


def _nested() -> list[Any]:
    value: list[Any] = []
    for _ in range(900):
        value = [value]
    return value


def _values() -> dict[str, Any]:
    return {
        "lambda": lambda: lambda: 1,
        "nan": lambda: float("nan"),
        "infinite": lambda: [float("inf")],
        "bytes": lambda: b"1",
        "surrogate": lambda: "\ud800",
        "huge": lambda: "x" * (100 << 20),
        "long": lambda: "ä" * (600 << 10),
        "digits": lambda: 10**5000,
        "nested": _nested,
        "liar": lambda: Liar(a=1),
        "tuple": lambda: (1, {"a": (2.5, None)}, {3: True}),
        "text": lambda: "ä\x00\n",
        "near": lambda: "x" * ((1 << 20) - 2),
        "none": lambda: None,
    }


@task("log", params=FolderParams)
def log(item: Any, params: FolderParams) -> Any:
    """Write the item into a log of runs; one write is never mixed with another."""
    _log(item, params)
    return item


@log.async_form
async def _(item: Any, params: FolderParams) -> Any:
    await asyncio.sleep(0)
    _log(item, params)
    return item


def _log(item: Any, params: FolderParams) -> None:
    file = os.open(Path(params.folder) / "runs", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{item}\n".encode())
    os.close(file)


@task("die", params=FolderParams)
def die(item: Any, params: FolderParams) -> Any:
    """End the process by what the item says; `None` and numbers do not."""
    _log(item, params)
    if item == "slow":
        time.sleep(1)
    if item == "kill child" and multiprocessing.parent_process():
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "exit 0":
        os._exit(0)
    if item == "terminate":
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    if item == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "segfault":
        ctypes.string_at(0)
    if item == "close files":
        os.closerange(3, 1000)
        time.sleep(10)
    return item


@task("hang", params=FolderParams)
def hang(item: Any, params: FolderParams) -> Any:
    """Hang in C code that holds the GIL, deaf to SIGTERM, if the item says so."""
    _log(item, params)
    if item == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        ctypes.PyDLL(None).sleep(100)
    return item


@task("flaky", params=FolderParams)
def flaky(item: Any, params: FolderParams) -> Any:
    """Fail twice, then succeed."""
    _log(item, params)
    runs = (Path(params.folder) / "runs").read_text().split()
    if runs.count(str(item)) < 3:
        raise ValueError(f"not yet: {runs.count(str(item))}")
    return item


@flaky.async_form
async def _(item: Any, params: FolderParams) -> Any:
    await asyncio.sleep(0)
    return flaky(item, params)


@dataclass(frozen=True)
class LoggedSecondsParams:
    """Where runs are noted, and how long each takes."""

    folder: str
    seconds: float


@task("first-flaky", params=LoggedSecondsParams)
def first_flaky(item: Any, params: LoggedSecondsParams) -> Any:
    """Sleep; item 0 fails at once, the first time."""
    _log(item, FolderParams(params.folder))
    if item == 0 and (Path(params.folder) / "runs").read_text().split().count("0") < 2:
        raise ValueError("not yet")
    time.sleep(params.seconds)
    return item


@first_flaky.async_form
async def _(item: Any, params: LoggedSecondsParams) -> Any:
    first_flaky(item, replace(params, seconds=0))
    await asyncio.sleep(params.seconds)
    return item


@task("raises")
def raises(item: Any) -> Any:
    """Raise the error of that name; a KeyError after a moment."""
    if item == "KeyError":
        time.sleep(0.2)
        raise KeyError(item)
    raise ValueError(item)


@raises.async_form
async def _(item: Any) -> Any:
    await asyncio.sleep(0)
    return raises(item)


@dataclass(frozen=True)
class SecondsParams:
    """How long to sleep."""

    seconds: float = 0.0


@task("picky-zero", params=SecondsParams)
def picky_zero(item: Any, params: SecondsParams) -> Any:
    """Sleep, and fail on what is not zero."""
    time.sleep(params.seconds)
    if item:
        raise ValueError(f"not zero: {item}")
    return item


@picky_zero.async_form
async def _(item: Any, params: SecondsParams) -> Any:
    await asyncio.sleep(params.seconds)
    if item:
        raise ValueError(f"not zero: {item}")
    return item


@task("nap")
def nap(item: float) -> Any:
    """Sleep for as long as the item says."""
    time.sleep(item)
    return item


@nap.async_form
async def _(item: float) -> Any:
    await asyncio.sleep(item)
    return item

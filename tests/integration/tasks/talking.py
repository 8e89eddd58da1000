"""Tasks that print and log."""

# ruff: noqa: T201

import asyncio
import contextlib
import io
import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from batchpool.tasks import task

log = logging.getLogger("talking")
STREAM_AT_IMPORT = sys.stderr


@task("talk")
def talk(item: int) -> int:
    """Print and log in all ways, while others do so too."""
    print("begin", item)
    time.sleep(0.01)
    _say(item)
    return item


@talk.async_form
async def _(item: int) -> int:
    print("begin", item)
    await asyncio.sleep(0.01)
    _say(item)
    await asyncio.create_task(_say_later(item))
    await asyncio.to_thread(print, "thread of", item)
    return item


async def _say_later(item: int) -> None:
    await asyncio.sleep(0.01)
    print("task of", item)


def _say(item: int) -> None:
    print(f"error {item}", file=sys.stderr)
    log.debug("unheard")
    log.info("info %s", item)
    log.warning("warning %s\nin two lines", item)
    # Once for each text, in the life of a process.
    warnings.warn(f"warned {item} {time.monotonic_ns()}", stacklevel=1)
    STREAM_AT_IMPORT.write(f"kept {item}\n")
    print("ünïcode \udc80 \x00", item, end="")


def _replaced() -> None:
    with contextlib.redirect_stdout(io.StringIO()) as found:
        print("not kept")
    assert found.getvalue() == "not kept\n"
    print("after")


def _restored() -> None:
    sys.stdout = io.StringIO()
    print("not kept")
    sys.stdout = sys.__stdout__
    print("after")


def _closed() -> None:
    print("before")
    sys.stdout.close()


def _thread() -> None:
    thread = threading.Thread(target=print, args=("of another thread",))
    thread.start()
    thread.join()
    print("after")


def _binary() -> None:
    sys.stdout.buffer.write(b"\xff of the buffer\n")
    assert sys.stdout.fileno() == 1 and sys.stdout.encoding and not sys.stdout.isatty()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    print("after")


def _handler() -> None:
    own = logging.getLogger("own")
    own.propagate = False
    own.addHandler(logging.StreamHandler())
    own.warning("by a handler of the task")


WAYS: dict[str, Callable[[], None]] = {
    "replaced": _replaced,
    "restored": _restored,
    "closed": _closed,
    "thread": _thread,
    "binary": _binary,
    "handler": _handler,
}


@task("talk-oddly")
def talk_oddly(item: str) -> str:
    """Print in a way that names itself."""
    WAYS[item]()
    return item


@task("flood")
def flood(item: dict[str, Any]) -> int:
    """Print so many lines, then wait or fail if told to."""
    for number in range(item["lines"]):
        print(f"{number:06}", "x" * 92)
    time.sleep(item.get("pause_s", 0))
    if item.get("fails"):
        raise ValueError("told to")
    return int(item["lines"])


@task("talk-and-fail")
def talk_and_fail(item: str) -> int:
    """Print how often it was tried, and fail twice."""
    path = Path(item)
    tries = len(path.read_text()) if path.exists() else 0
    path.write_text("x" * (tries + 1))
    print("try", tries)
    if tries < 2:
        raise ValueError(tries)
    return tries


@task("talk-and-wait")
def talk_and_wait(item: int) -> int:
    """Print, then run for longer than any limit."""
    print("waits", item)
    time.sleep(60 if item == 1 else 0)
    return item


@task("talk-and-crash")
def talk_and_crash(item: int) -> None:
    """Print, then end the process."""
    print("crashes")
    os._exit(7)

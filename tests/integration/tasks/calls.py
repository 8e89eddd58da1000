"""Tasks that a test submits to an executor of threads and to one of the service alike."""

import os
import time
from typing import Any

from batchpool.tasks import task


class SoldOut(Exception):
    """An exception of a module of its own."""


@task("calls.double")
def double(item: Any) -> Any:
    """Return the item twice."""
    return item * 2


@task("calls.same")
def same(item: Any) -> Any:
    """Return the item."""
    return item


@task("calls.pair")
def pair(item: Any) -> Any:
    """Return a tuple, and a dict whose keys are no text."""
    return item, {item: None}


@task("calls.exit")
def leave(item: int) -> Any:
    """Leave as a program does."""
    raise SystemExit(item)


@task("calls.inverse")
def inverse(item: float) -> float:
    """Return 1 / item."""
    return 1 / item


RAISED = {
    "value": lambda: int("x"),
    "key": lambda: {}["gone"],
    "key-number": lambda: {}[3],
    "index": lambda: [][1],
    "type": lambda: len(3),  # type: ignore[arg-type]
    "runtime": lambda: next(_raising(RuntimeError())),
    "assertion": lambda: next(_raising(AssertionError("not so"))),
    "timeout": lambda: next(_raising(TimeoutError("too late"))),
    "file": lambda: open("/nowhere/at all"),
    "own": lambda: next(_raising(SoldOut("no apples"))),
    "unicode": lambda: b"\xff".decode(),
}


def _raising(error: Exception) -> Any:
    yield from ()
    raise error


@task("calls.fail")
def fail(item: str) -> Any:
    """Raise an exception by its name in `RAISED`."""
    return RAISED[item]()


@task("calls.wait")
def wait_for_file(item: dict[str, str]) -> str:
    """Wait until the file `until` is there, having made the file `begun`."""
    if "begun" in item:
        open(item["begun"], "w").close()
    while not os.path.exists(item["until"]):
        time.sleep(0.005)
    return item["until"]


@task("calls.fail-unless")
def fail_unless_file(item: dict[str, Any]) -> Any:
    """Return the value unless the file is missing that the item names."""
    if not os.path.exists(item["needs"]):
        raise ValueError(f"{item['needs']} is missing")
    return item["value"]

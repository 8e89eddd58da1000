"""The task of the benchmark, the same for every peer, and the count of finished tasks.

Nothing is imported here that would take a worker's child time.
"""

import os
import time
from typing import Any

DONE = "BENCH_DONE"

_fd: int | None = None


def spin(iterations: int) -> None:
    """A copy of `tasks.builtin.computing.spin`: a peer's venv has none of our packages."""
    for x in range(1, iterations):
        float(x) / 3.141592
        float(3.141592) / x  # noqa: UP018


def run(kind: str, amount: float, times: int) -> None:
    """Do one piece of work `times` times, as one message of a queue."""
    for _ in range(times):
        if kind == "sleep":
            time.sleep(amount)
        elif kind == "cpu":
            spin(int(amount))
    mark(times)


def mark(times: int) -> None:
    """Count finished tasks: a byte each in a file, which costs a peer some two microseconds.

    This is cheaper than any result store, so no peer pays for unread results.
    """
    global _fd
    if _fd is None:
        _fd = os.open(os.environ[DONE], os.O_WRONLY | os.O_APPEND)
    os.write(_fd, b"." * times)


def plan(order: dict[str, Any]) -> list[tuple[str, float, int]]:
    """The messages of a request: kind, amount, and how many tasks each contains."""
    work, count, chunk = order["work"], order["count"], order["chunk"]
    if chunk > 1:
        (kind, amount) = work[0]
        sizes = [min(chunk, count - start) for start in range(0, count, chunk)]
        return [(kind, amount, size) for size in sizes]
    return [(*work[index % len(work)], 1) for index in range(count)]

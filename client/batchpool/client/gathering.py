"""Calls that wait to be sent, by task, and how they are put together to jobs."""

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock
from typing import Any

MOST_CALLS = 10_000
MOST_BYTES = 1 << 20
"""Of one job; the API gives a larger body to a process of its own."""
_PAUSE_S, _LONGEST_S = 0.002, 0.02


@dataclass(frozen=True)
class TaskCall:
    """One call: the name of the task, its item as JSON, and the future of its value."""

    task: str
    item: bytes
    future: Future[Any]


class Gathering:
    """The calls that are not sent yet. Whoever calls a method, but for `wait`, has the lock."""

    def __init__(self) -> None:
        self.lock = Lock()
        self._by_task: dict[str, deque[TaskCall]] = {}
        self._added = 0

    def __bool__(self) -> bool:
        return bool(self._by_task)

    def __iter__(self) -> Iterator[TaskCall]:
        for calls in self._by_task.values():
            yield from calls

    def add(self, call: TaskCall) -> None:
        """Add a call behind the others of its task."""
        self._by_task.setdefault(call.task, deque()).append(call)
        self._added += 1

    def wait(self) -> None:
        """Return once no call has come for 2 ms, after 20 ms, or when they fill a job."""
        deadline = time.monotonic() + _LONGEST_S
        first, seen = self._added, -1
        while seen < self._added < first + MOST_CALLS and time.monotonic() < deadline:
            seen = self._added
            time.sleep(_PAUSE_S)

    def take(self) -> list[TaskCall]:
        """Remove and return the calls of one job: those of one task, the first ones."""
        task = next(iter(self._by_task))
        calls = self._by_task.pop(task)
        taken = [calls.popleft()]
        size = len(taken[0].item)
        while calls and len(taken) < MOST_CALLS and size + len(calls[0].item) <= MOST_BYTES:
            size += len(calls[0].item)
            taken.append(calls.popleft())
        if calls:
            # Behind the other tasks: none waits for all calls of another one.
            self._by_task[task] = calls
        return taken

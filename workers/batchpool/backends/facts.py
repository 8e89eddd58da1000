"""A table of the backends: their properties, and what they can enforce."""

import sys
from dataclasses import dataclass
from typing import Literal

from batchpool.errors import UnknownBackend

SlotKind = Literal["one", "threads", "processes", "interpreters", "coroutines", "chosen"]


NO_SHARED_SUM = (
    "no shared sum: its meaning depends on the backend, which is chosen only when the batch runs"
)


MOST_CHOSEN = 256
"""The default limit of tasks in flight for `auto`: enough for tasks that wait."""


@dataclass(frozen=True)
class BackendFacts:
    """Properties of a backend and what it can enforce; `where` names its class."""

    name: str
    summary: str
    slot_kind: SlotKind
    in_flight: str
    task_timeout: Literal["no", "yes", "at an await"]
    kills: Literal["with the batch", "yes", "at an await, else with the batch"]
    where: str
    dispatch: bool = False
    """Whether `dispatch` and `chunksize` apply."""
    start_method: bool = False
    """Whether it starts processes, so that `start_method` applies."""
    warm: bool = False
    """Whether a pool can be kept for the next batch."""
    in_process: bool = True
    """Whether tasks run in the process that runs the batch: a crash ends it too. If not,
    that process must have no other threads (fork), and the batch calls `tick`."""
    form: Literal["sync", "async", "either"] = "sync"
    shares: bool = True
    """Whether it has a shared sum."""
    min_python: tuple[int, int] = (3, 11)

    @property
    def is_supported(self) -> bool:
        """Whether this Python can run it."""
        return sys.version_info >= self.min_python

    def default_concurrency(self, cpus: int) -> int:
        """The default number of tasks in flight."""
        if self.slot_kind == "one":
            return 1
        if self.slot_kind == "chosen":
            return MOST_CHOSEN
        return min(32, cpus + 4) if self.slot_kind in ("threads", "coroutines") else cpus


BACKENDS: dict[str, BackendFacts] = {
    facts.name: facts
    for facts in (
        BackendFacts(
            name="sequential",
            summary="one after the other in the batch's process",
            slot_kind="one",
            in_flight="1",
            task_timeout="no",
            kills="with the batch",
            where="batchpool.backends.sequential:Sequential",
        ),
        BackendFacts(
            name="threading",
            summary="one threading.Thread per task",
            slot_kind="threads",
            in_flight="at most `concurrency` threads",
            task_timeout="no",
            kills="with the batch",
            where="batchpool.backends.thread_per_task:ThreadPerTask",
        ),
        BackendFacts(
            name="multiprocessing",
            summary="one multiprocessing.Process per task",
            slot_kind="processes",
            in_flight="at most `concurrency` processes",
            task_timeout="yes",
            kills="yes",
            where="batchpool.backends.process_per_task:ProcessPerTask",
            start_method=True,
            in_process=False,
        ),
        BackendFacts(
            name="thread-pool",
            summary="concurrent.futures.ThreadPoolExecutor",
            slot_kind="threads",
            in_flight="pool size",
            task_timeout="no",
            kills="with the batch",
            where="batchpool.backends.thread_pool:ThreadPool",
            dispatch=True,
        ),
        BackendFacts(
            name="process-pool",
            summary="concurrent.futures.ProcessPoolExecutor",
            slot_kind="processes",
            in_flight="pool size",
            task_timeout="yes",
            kills="yes",
            where="batchpool.backends.process_pool:ProcessPool",
            dispatch=True,
            start_method=True,
            warm=True,
            in_process=False,
        ),
        BackendFacts(
            name="interpreter-pool",
            summary="concurrent.futures.InterpreterPoolExecutor",
            slot_kind="interpreters",
            in_flight="pool size",
            task_timeout="no",
            kills="with the batch",
            where="batchpool.backends.interpreter_pool:InterpreterPool",
            dispatch=True,
            warm=True,
            min_python=(3, 14),
        ),
        BackendFacts(
            name="asyncio",
            summary="async def tasks in one event loop",
            slot_kind="coroutines",
            in_flight="as many coroutines as `concurrency`",
            task_timeout="at an await",
            kills="at an await, else with the batch",
            where="batchpool.backends.event_loop:EventLoop",
            form="async",
        ),
        BackendFacts(
            name="auto",
            summary="whichever of sequential, thread-pool, process-pool and asyncio the first items"
            " show to be the fastest",
            slot_kind="chosen",
            in_flight="as chosen, at most `concurrency`",
            task_timeout="no",
            kills="with the batch",
            where="batchpool.backends.auto.auto:Auto",
            form="either",
            shares=False,
        ),
    )
}


def facts_of(name: str) -> BackendFacts:
    """The facts of a backend.

    Raises:
        UnknownBackend: there is none of that name.
    """
    try:
        return BACKENDS[name]
    except KeyError:
        raise UnknownBackend("backend", f"{name!r}; known: {sorted(BACKENDS)}") from None

"""Announcements of workers: the capabilities of their class, and the state of each worker."""

from dataclasses import dataclass, field
from typing import Literal

from batchpool.json_value import JsonObject, JsonValue

WorkerState = Literal["idle", "busy", "draining"]


@dataclass(frozen=True, kw_only=True)
class TaskCapabilities(JsonValue):
    """One task of a class of workers.

    Args:
        schema: JSON Schema of its params; None if it takes none.
        has_sync, has_async: the forms that it has.
        code: its version; '' from a worker that does not announce versions.
        interpreters: whether sub-interpreters can import it.
    """

    description: str | None = None
    schema: JsonObject | None = None
    has_sync: bool = field(metadata={"json": "sync"})
    has_async: bool = field(metadata={"json": "async"})
    bound: Literal["io", "cpu"] | None = None
    rate: str | None = None
    code: str = ""
    interpreters: bool = True


@dataclass(frozen=True)
class LoadFailure(JsonValue):
    """A source of tasks that could not be loaded."""

    source: str
    error: str


@dataclass(frozen=True, kw_only=True)
class WorkerCapabilities(JsonValue):
    """The capabilities of all workers of a class.

    Args:
        id: a digest of what decides whether a batch can run there; it names the queue.
        version: of all task modules together.
        spec: the version of the stored spec.
        cpus: those that the worker which announced it may use.
        seen_ms: when a worker of the class was last seen, by Redis' clock.
    """

    id: str
    python: str
    gil: bool = True
    version: str = ""
    spec: int = 0
    cpus: float | None = None
    backends: tuple[str, ...]
    start_methods: tuple[str, ...]
    tasks: dict[str, TaskCapabilities]
    errors: tuple[LoadFailure, ...] = ()
    seen_ms: int = 0


@dataclass(frozen=True)
class ReservedSlot(JsonValue):
    """The slot of a comparison for which a worker is reserved."""

    comparison: str
    slot: int


@dataclass(frozen=True)
class IdlePool(JsonValue):
    """A pool that a runner keeps for the next batch.

    Args:
        start_method: of its processes; None for sub-interpreters.
        children: how many it has.
        pids: of its processes; empty for sub-interpreters, which are in the runner.
    """

    start_method: str | None
    children: int
    pids: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LiveWorker(JsonValue):
    """A worker that has announced itself within its time to live.

    Args:
        class_id: of what it reads the queue now, the private class of a slot while reserved.
        batch: `<job id>/<batch>` that it runs.
        warm: the idle pools of its runner.
    """

    name: str
    host: str
    pid: int
    python: str
    gil: bool
    cpus: float
    class_id: str = field(metadata={"json": "class"})
    reserved: ReservedSlot | None = None
    state: WorkerState
    batch: str | None = None
    runner_pid: int | None = None
    warm: tuple[IdlePool, ...] = ()
    rss_bytes: int = 0
    started_ms: int | None = None

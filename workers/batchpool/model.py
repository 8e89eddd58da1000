"""Values that every layer shares: specs, states, outcomes and reports of batches."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypedDict

from batchpool.json_value import JsonObject
from batchpool.reducers.reducer import Reducer
from batchpool.retry_policy import NO_RETRIES, RetryPolicy


class Phases(TypedDict):
    """Times of a batch's run, in seconds since its last claim, on the owner's clock.

    Args:
        begin_s: the backend was entered, with the items loaded.
        ready_s: it was ready to run them.
        end_s: everything that ran a task had ended.
        closed_s: the last block was sent.
    """

    begin_s: float
    ready_s: float
    end_s: float
    closed_s: float


class Switches(TypedDict):
    """Context switches."""

    voluntary: int
    involuntary: int


class Usage(TypedDict):
    """Resources that a batch used: those of the runner and of all its descendants.

    `throttled_s` is how long its control group was throttled, `load_1m` the load average before it
    began; None where a value is not known.
    """

    cpu_s: float
    peak_pss_bytes: int | None
    throttled_s: float | None
    load_1m: float
    cpus: float
    quota: float | None
    switches: Switches | None


RecordState = Literal["succeeded", "failed", "timeout", "crashed", "cancelled"]
BatchState = Literal["queued", "running", "parked", "succeeded", "failed", "cancelled"]
JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]

RECORD_STATES: tuple[RecordState, ...] = (
    "succeeded",
    "failed",
    "timeout",
    "crashed",
    "cancelled",
)
TERMINAL_STATES = frozenset({"succeeded", "failed", "cancelled"})

START_METHODS = ("fork", "spawn", "forkserver")
DISPATCHES = ("map", "submit")
POOLS = ("warm", "fresh")
SHARED_SUMS = ("none", "global", "locked", "racy")
ON_ERRORS = ("continue", "stop")

MAX_VALUE_BYTES = 1 << 20
"""A returned value longer than this as JSON becomes an error record of its item."""


class TaskError(TypedDict):
    """Why an item has no value."""

    type: str
    message: str
    traceback: str | None


class ExecutionSite(NamedTuple):
    """The place where an item ran: one thread of one process, in one of its interpreters."""

    pid: int
    ppid: int
    thread_id: int
    thread_name: str
    interpreter: int


class FailedAttempt(TypedDict):
    """A failed attempt before the last one."""

    error: TaskError
    wall_s: float


class Outcome(NamedTuple):
    """The outcome of one item: a record without the facts that a whole epoch shares.

    Times are nanoseconds; `started_ns` is on the machine's monotonic clock, which
    all processes of one host share. `value` is plain JSON data.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which is not needed
    state: RecordState
    value: Any
    error: TaskError | None
    site: ExecutionSite
    started_ns: int
    wall_ns: int
    cpu_ns: int
    sum_seen: int | float | None = None
    attempt: int = 1
    tries: tuple[FailedAttempt, ...] = ()


class AutoChoice(TypedDict):
    """The choice of the backend `auto` for a batch; `measured` has seconds, shares and counts."""

    backend: str
    concurrency: int
    chunksize: int | None
    measured: JsonObject
    why: str


@dataclass(frozen=True)
class RunSpec:
    """The options by which the batches of a job are run."""

    task: str
    params: JsonObject = field(default_factory=dict)
    backend: str = "thread-pool"
    concurrency: int = 1
    dispatch: str = "map"
    chunksize: int | None = None
    start_method: str = "forkserver"
    pool: str = "warm"
    shared_sum: str = "none"
    task_timeout_s: float | None = None
    retries: RetryPolicy = NO_RETRIES
    rate: str | None = None
    """How many items may begin in a time, as `10/s`, on all workers; None: that of the task."""
    on_error: str = "continue"
    measure: bool = False
    """Whether the report has the resources that the batch used."""
    reduce: dict[str, Reducer] = field(default_factory=dict)
    """By name."""
    logs: bool = True
    """Whether what items print and log is kept with their records."""


@dataclass(frozen=True)
class BatchSpec:
    """One batch of a job, as a runner needs it.

    `items[k]` is the item with the job-wide index `first + k`; `done` holds the
    indices that are recorded already and must not run again. `job_id` is for the console.
    `has_failures` is whether one of those has not succeeded; `limit_ns` the monotonic clock at the
    job's limit.
    """

    run: RunSpec
    items: Sequence[Any]
    first: int = 0
    done: frozenset[int] = frozenset()
    job_id: str = ""
    has_failures: bool = False
    limit_ns: int | None = None


@dataclass(frozen=True)
class BatchReport:
    """The result of running a batch on one worker, besides its records."""

    effective_concurrency: int
    pool: str | None
    start_method: str | None
    startup_s: float
    wall_s: float
    observed: int | float | None
    begin_ns: int
    """The machine's monotonic clock when the backend was entered; then when it was ready to run
    items, and when all that ran a task of the batch had ended."""
    ready_ns: int
    end_ns: int
    drained: bool = False
    """True if it was stopped before all items had run."""
    failed_fast: bool = False
    """True when `on_error: stop` ended it at a failed item."""
    chosen: AutoChoice | None = None

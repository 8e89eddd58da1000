"""The spec of a job as the ledger stores it and the API shows it."""

from dataclasses import dataclass, field
from typing import Any, Literal

from batchpool.json_value import JsonObject, JsonValue
from batchpool.model import RunSpec
from batchpool.reducers.reducer import Reducer
from batchpool.retry_policy import NO_RETRIES, RetryPolicy

_LEFT_OUT_IF_EMPTY = ("rate", "reduce", "retry_of", "comparison")


@dataclass(frozen=True)
class ItemsSummary(JsonValue):
    """The items of a job: how many, their hash, and the first ones if they are short."""

    count: int
    sha256: str
    first: list[Any]


@dataclass(frozen=True)
class ComparisonRun(JsonValue):
    """The run of a comparison that a job is.

    Args:
        id: of the comparison.
        arm: an index into its arms; one past the last for the control, -1 for the baseline.
    """

    id: str
    arm: int
    round: int
    kind: Literal["solo", "warmup", "sample"]


@dataclass(frozen=True, kw_only=True)
class JobSpec(JsonValue):
    """A job as it is run, every field filled in; None where its backend has no such option.

    Args:
        count: the number of items.
        timeout_s: from the first claim, over all retries.
        queue_timeout_s: while queued or parked.
        rate: how many items of the task may begin in a time, on all workers.
        reduce: what becomes of the values, by name.
        measure: whether batches report the CPU time and memory that they used.
        logs: whether what items print and log is kept with their records.
        retry_of: the id of the job whose items it runs again.
        comparison: the run that it is; None for a job that a user has ordered.
    """

    # The first field: a script of the ledger finds the task by that.
    task: str
    params: JsonObject
    count: int
    items: ItemsSummary
    backend: str
    concurrency: int
    batches: int
    dispatch: str | None = None
    chunksize: int | None = None
    start_method: str | None = None
    pool: str | None = None
    shared_sum: str = "none"
    task_timeout_s: float | None = None
    timeout_s: float
    queue_timeout_s: float
    retries: RetryPolicy = NO_RETRIES
    rate: str | None = None
    on_error: str = "continue"
    measure: bool = False
    logs: bool = True
    labels: dict[str, str] = field(default_factory=dict)
    reduce: dict[str, Reducer] = field(default_factory=dict)
    retry_of: str | None = None
    comparison: ComparisonRun | None = None

    def to_json(self) -> JsonObject:
        found = super().to_json()
        for name in _LEFT_OUT_IF_EMPTY:
            if not found[name]:
                del found[name]
        return found

    def run_spec(self) -> RunSpec:
        """The part that a worker needs; an option that does not apply has its default."""
        return RunSpec(
            task=self.task,
            params=self.params,
            backend=self.backend,
            concurrency=self.concurrency,
            dispatch=self.dispatch or RunSpec.dispatch,
            chunksize=self.chunksize,
            start_method=self.start_method or RunSpec.start_method,
            pool=self.pool or RunSpec.pool,
            shared_sum=self.shared_sum,
            task_timeout_s=self.task_timeout_s,
            retries=self.retries,
            rate=self.rate,
            on_error=self.on_error,
            measure=self.measure,
            reduce=self.reduce,
            logs=self.logs,
        )

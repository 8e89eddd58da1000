"""Response models of jobs, batches and records, from which the OpenAPI document is made."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from batchpool.json_value import JsonObject
from batchpool.model import BatchState, JobState
from batchpool.schemas.reducers import ReducerSpec
from batchpool.schemas.retries import RetriesSpec

Number = int | float
Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class ResponseModel(BaseModel):
    model_config = ConfigDict(extra="forbid", defer_build=True)


class FieldProblem(ResponseModel):
    field: str = Field(description="dotted path; empty for the body as a whole")
    message: str


class ProblemDocument(ResponseModel):
    """RFC 9457, as application/problem+json."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldProblem] = Field(default=[], description="at most 20")


class ErrorInfo(ResponseModel):
    type: str
    message: str
    traceback: str | None = None


class ItemsInfo(ResponseModel):
    count: int
    sha256: str = Field(description="over the compact JSON text of the list of items")
    first: list[Any] = Field(description="the first ones, at most 10 and 4 KB")


class RunInfo(ResponseModel):
    """The run of a comparison that a job is."""

    id: str = Field(description="of the comparison")
    arm: int = Field(description="-1: the items alone; one past the last: the control")
    round: int
    kind: Literal["solo", "warmup", "sample"]


class Spec(ResponseModel):
    """The job as it is run; null where its backend has no such option."""

    task: str
    params: JsonObject
    items: ItemsInfo
    backend: str
    concurrency: int
    batches: int
    dispatch: Literal["map", "submit"] | None
    chunksize: int | None
    start_method: str | None
    pool: Literal["warm", "fresh"] | None
    shared_sum: Literal["none", "global", "locked", "racy"]
    task_timeout_s: float | None
    timeout_s: float
    queue_timeout_s: float
    retries: int | RetriesSpec = Field(
        description="a number where only `max` differs from the defaults"
    )
    rate: str | None = Field(None, description="items that may begin in a time, on all workers")
    on_error: Literal["continue", "stop"]
    measure: bool = False
    logs: bool = True
    labels: dict[str, str]
    reduce: dict[str, ReducerSpec] = {}
    retry_of: str | None = None
    comparison: RunInfo | None = None


class Progress(ResponseModel):
    total: int
    pending: int
    running: int
    succeeded: int
    failed: int
    timeout: int
    crashed: int
    cancelled: int


class BatchSharedSum(ResponseModel):
    observed: Number | None
    lost: Number | None
    partial: bool = Field(description="another worker took the batch over, so no epoch saw all")


class SharedSum(ResponseModel):
    strategy: Literal["global", "locked", "racy"]
    observed: list[Number | None] = Field(
        description="one per batch, from the epoch that closed it"
    )
    lost: Number | None = Field(description="sum of the records minus the observed sum")
    partial: bool


class Timing(ResponseModel):
    """Durations in seconds; a job that is not terminal is measured up to now."""

    submitted_at: Instant
    started_at: Instant | None
    finished_at: Instant | None
    queue_s: float | None
    wall_s: float | None = Field(description="first claim to terminal state, recovery included")
    startup_s: float | None = Field(description="of the batch that was slowest to start")
    overhead_s: float | None = Field(description="wall_s beyond the longest run of a batch")
    task_wall_s: float
    task_cpu_s: float
    parallelism: float | None = Field(description="task_wall_s / wall_s; not a speedup")
    cpu_parallelism: float | None = Field(description="task_cpu_s / wall_s")


class EpochInfo(ResponseModel):
    """One ownership of a batch."""

    worker: str
    host: str
    pid: int = Field(description="of the runner")
    ppid: int = Field(description="of the worker")
    python: str
    gil: bool
    started_at: Instant
    ended_at: Instant | None
    end_reason: str | None


class Phases(ResponseModel):
    """Times of the batch's run in seconds since the claim, by its worker's clock."""

    begin_s: float = Field(description="the backend was entered, with the items loaded")
    ready_s: float = Field(description="the backend was ready to run them")
    end_s: float = Field(description="everything that ran a task had ended")
    closed_s: float = Field(description="the last block of records was sent")


class Switches(ResponseModel):
    """Context switches."""

    voluntary: int
    involuntary: int


class Usage(ResponseModel):
    """Resources that all processes of the batch used together."""

    cpu_s: float = Field(description="CPU time, of processes that have ended too")
    peak_pss_bytes: int | None = Field(
        description="memory, shared pages counted once; sampled, so short peaks may be missed"
    )
    throttled_s: float | None = Field(description="time that CPU quotas kept it from running")
    load_1m: float = Field(description="load average before the batch")
    cpus: float = Field(description="that could be used")
    quota: float | None = Field(description="CPUs by the tightest quota; null without one")
    switches: Switches | None = Field(description="null where some could not be counted")


class ChosenInfo(ResponseModel):
    """The choice of the backend `auto` for the batch, and its measurements."""

    backend: str
    concurrency: int
    chunksize: int | None = Field(description="of the first chunks; they adapt")
    measured: JsonObject = Field(description="seconds, shares and counts, of the first items")
    why: str


class Batch(ResponseModel):
    index: int
    state: BatchState
    first: int = Field(description="index of its first item")
    items: int
    progress: Progress
    sum: Number | None
    shared_sum: BatchSharedSum | None
    effective_concurrency: int | None
    pool: str | None
    start_method: str | None
    chosen: ChosenInfo | None = Field(description="backend `auto` only, once the batch has ended")
    queue_s: float | None
    startup_s: float | None
    wall_s: float | None
    phases: Phases | None = Field(description="of the epoch that closed the batch")
    usage: Usage | None = Field(description="the same, if the job was to be measured")
    error: ErrorInfo | None
    parked: str | None = Field(description="why no live worker can run it, while parked")
    second_try: str | None = Field(
        description="why a fresh runner began the batch again: the first ran no item"
    )
    leftovers: list[str] = Field(
        description="what tasks left running or changed in the worker's process, and what became "
        "of it; known a moment after the batch has ended"
    )
    lost_workers: int
    refused_writes: int = Field(description="blocks of workers that had lost the batch")
    epochs: list[EpochInfo]


class WaitingInfo(ResponseModel):
    """What a job waits for."""

    code: Literal["no_worker", "queue", "reserved", "parked"]
    text: str = Field(description="why it waits, and what lets it go on")


class JobSummary(ResponseModel):
    """A job as lists show it."""

    id: str
    state: JobState
    waiting_for: WaitingInfo | None = Field(
        None, description="null while it runs, and once it has ended"
    )
    spec: Spec
    progress: Progress
    sum: Number | None = Field(
        description="exact sum of the numbers that tasks returned; null if none was a number"
    )
    sum_text: str | None = Field(description="the sum as text, exact where numbers are floats")
    shared_sum: SharedSum | None
    timing: Timing
    error: ErrorInfo | None
    links: dict[str, str]


class Skipped(ResponseModel):
    """Items that succeeded with a value that a reducer cannot take."""

    count: int
    first_index: int | None


class Reduced(ResponseModel):
    """What a reducer has come to; partial while the job runs."""

    value: Any = Field(
        description="a number; of min and max its value and index, of top and count_values a list; "
        "of histogram bounds, counts, below and above; null without a value to take"
    )
    skipped: Skipped
    overflow: int = Field(description="of count_values: items whose value had no room")


class Job(JobSummary):
    reduced: dict[str, Reduced] = Field({}, description="by name of the reducer")
    pids: list[int] = Field(description="at most 1000; the same number on two hosts counts twice")
    pids_total: int
    workers: list[str] = Field(description="at most 1000")
    workers_total: int
    batches: list[Batch]


class SubmittedJob(ResponseModel):
    """The answer to one of several jobs: `status` is that of a request with this job alone."""

    status: int
    id: str | None = Field(description="of the job; null if it was refused")
    job: Job | None = Field(description="null if it was refused, or deleted since")
    problem: ProblemDocument | None = Field(description="why it was refused")


class SubmittedJobs(ResponseModel):
    """One answer for each job of the request, in their order."""

    jobs: list[SubmittedJob]


class BulkAnswer(ResponseModel):
    """Jobs that the reconciler will cancel or delete, in a few seconds."""

    taken: int = Field(description="at most 10,000")
    more: bool = Field(description="whether more match: ask again for those")


class BulkRetryAnswer(ResponseModel):
    """Jobs whose items without success run again, as new jobs."""

    taken: int = Field(description="at most 10,000, and those that are read within 10 s")
    refused: int = Field(description="jobs that no worker can run, or whose items cannot be read")
    more: bool = Field(description="whether more match: ask again, it goes on with those")


class JobPage(ResponseModel):
    jobs: list[JobSummary]
    next: str | None = Field(description="cursor of the next page")

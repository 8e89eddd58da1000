"""Comparisons as values: the spec, the notes of the driver, and what each run measured."""

from dataclasses import dataclass, field, replace
from typing import Literal

from batchpool.json_value import JsonObject, JsonValue
from batchpool.ledger.values.job_spec import ItemsSummary
from batchpool.model import JobState, TaskError

RunKind = Literal["solo", "warmup", "sample"]


@dataclass(frozen=True)
class ArmSpec(JsonValue):
    """The options of an arm's jobs; None where its backend has no such option.

    Args:
        class_id: the class of workers that runs it; None in comparisons of earlier versions,
            whose arms all run on the class of the comparison.
    """

    backend: str
    concurrency: int
    batches: int
    name: str = ""
    dispatch: str | None = None
    chunksize: int | None = None
    start_method: str | None = None
    pool: str | None = None
    shared_sum: str = "none"
    class_id: str | None = None

    @property
    def in_flight(self) -> int:
        """The number of tasks that it keeps in flight, over all batches."""
        return self.concurrency * self.batches


@dataclass(frozen=True)
class ComparisonSpec(JsonValue):
    """A comparison as it is run, every field filled in.

    Args:
        arms: the visible ones; the control runs like the one with the index `reference`.
        baseline: how the items are run one after the other.
        seed: of the order of the runs, and of the bootstrap.
        min_effect: a smaller difference is no verdict.
        timeout_s: of each run.
        fail_unless: what it must show of the arms' speeds, as text.
    """

    task: str
    params: JsonObject
    count: int
    items: ItemsSummary
    arms: tuple[ArmSpec, ...]
    baseline: ArmSpec = field(metadata={"json": "solo"})
    reference: int
    rounds: int
    warmup: int
    seed: int
    min_effect: float
    timeout_s: float
    labels: dict[str, str]
    fail_unless: tuple[str, ...] = ()

    @property
    def workers_needed(self) -> int:
        """The workers that the widest arm needs."""
        return max(arm.batches for arm in self.arms)

    def on_class(self, class_id: str) -> "ComparisonSpec":
        """The same comparison with all arms on another class of workers."""
        arms = tuple(replace(arm, class_id=class_id) for arm in self.arms)
        return replace(self, arms=arms, baseline=replace(self.baseline, class_id=class_id))


@dataclass(frozen=True)
class SlotHolder(JsonValue):
    """The worker in a slot when a run was started."""

    worker: str
    host: str
    cpus: float


@dataclass(frozen=True)
class RunStart(JsonValue):
    """The moment before a run: claims so far by host, and the holders by slot."""

    claims: dict[str, int]
    holders: dict[str, SlotHolder]


@dataclass(frozen=True)
class ExecutionNotes(JsonValue):
    """The notes that a driver needs after a restart.

    Args:
        waits_for: why the next run has not been started yet.
        before: of the run under way.
        failed: why an arm is not run any more, by its index as text.
        disturbed: runs that were repeated, or kept as disturbed.
    """

    waits_for: str | None = None
    before: RunStart | None = None
    failed: dict[str, str] = field(default_factory=dict)
    disturbed: int = 0


@dataclass(frozen=True)
class EnvironmentWorker(JsonValue):
    """One of the reserved workers."""

    name: str
    host: str
    cpus: float
    python: str
    gil: bool


@dataclass(frozen=True)
class Environment(JsonValue):
    """The environment of a comparison; a list where its workers differ, None if not known."""

    python: str | list[str] | None = None
    gil: bool | list[bool] | None = None
    start_methods: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    cpus: float | None = None
    quota: float | None = None
    load_1m: float | None = None
    redis_version: str | None = None
    batchpool_version: str | None = None
    git_revision: str | None = None
    workers: tuple[EnvironmentWorker, ...] = ()
    started_at: str | None = None


@dataclass(frozen=True)
class TimeParts(JsonValue):
    """The parts of a run's wall time, in seconds; None if not known.

    `unaccounted` is what the other parts do not add up to.
    """

    load: float
    startup: float
    dispatch: float
    cpu: float
    waiting: float | None
    contention: float | None
    idle: float
    close: float
    unaccounted: float | None


@dataclass(frozen=True)
class TaskMedians(JsonValue):
    """The times of a task of a run: medians over its tasks, in seconds."""

    wall: float | None = None
    cpu: float | None = None
    waiting: float | None = None
    contention: float | None = None


@dataclass(frozen=True)
class BaselineTime(JsonValue):
    """The time of a run's tasks when nothing runs beside them, in seconds."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class RunFacts(JsonValue):
    """Measurements of one run; lists have an element per batch, or the distinct values in order.

    Args:
        startup_s: of the batch that took longest to start its slots.
        states: how many tasks ended in which state.
        epochs_max: the most owners that one of its batches had.
        parts: where the wall time went; None when a batch did not report its phases.
        task_wall_s, task_cpu_s, task_waiting_s: sums over all tasks.
        alone_s: what the tasks take by the baseline run; None without one.
        max_in_flight: tasks at once, as their intervals show.
        cpus: those that its batches could use, over all hosts.
    """

    state: str
    wall_s: float
    queue_s: float
    startup_s: float
    checksum: str
    states: dict[str, int]
    tasks: int
    epochs_max: int
    parts: TimeParts | None
    per_task: TaskMedians
    task_wall_s: float
    task_cpu_s: float
    alone_s: BaselineTime | None
    max_in_flight: int
    effective_concurrency: list[int | None]
    pool: list[str | None]
    start_method: list[str | None]
    hosts: list[str]
    cpus: float | None
    gil: list[bool]
    python: list[str]
    task_waiting_s: float | None = None
    workers: list[str] = field(default_factory=list)
    cpu_s: float | None = None
    peak_pss_bytes: int | None = None
    throttled_s: float | None = None
    load_1m: float | None = None


@dataclass(frozen=True)
class Sample(JsonValue):
    """One run that has ended.

    Args:
        run: its position in the plan.
        arm: an index into the arms; one past the last for the control, -1 for the baseline.
        round: from 1; None for warm-up and baseline runs.
        disturbed: why it does not count.
        error: why it has no time that could be compared.
        took_s: from the job's submission to its end.
    """

    run: int
    kind: RunKind
    arm: int
    round: int | None
    attempt: int
    job_id: str
    disturbed: str | None
    facts: RunFacts | None
    error: str | None
    took_s: float


@dataclass(frozen=True)
class ComparisonEntry:
    """One comparison as the ledger has it; times are milliseconds of Redis' clock.

    Args:
        class_id: the class of the workers that are reserved.
        position, attempt: the next run in the plan, and which attempt at it this is, from 1.
        job_id: the job of the run under way, from the moment it was decided on.
        ttl_s: how long it and its jobs are kept after their ends.
        samples: each run that has ended; empty unless they were asked for.
        analysis: the result as a JSON object; None unless asked for, and before the end.
    """

    id: str
    state: JobState
    spec: ComparisonSpec
    class_id: str
    submitted_ms: int
    started_ms: int | None
    finished_ms: int | None
    cancelled_ms: int | None
    position: int
    attempt: int
    job_id: str | None
    ttl_s: float
    notes: ExecutionNotes
    environment: Environment | None
    error: TaskError | None
    samples: tuple[Sample, ...] = ()
    analysis: JsonObject | None = None

    @property
    def place(self) -> str:
        """Its position, attempt and job: what a step names that must not happen anywhere else."""
        return f"{self.position}/{self.attempt}/{self.job_id or ''}"

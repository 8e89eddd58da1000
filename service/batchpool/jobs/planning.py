"""Plan a job: split its items into batches, match it with classes of workers; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from batchpool.backends.facts import BACKENDS
from batchpool.ledger.keys import base_class
from batchpool.ledger.values.announcements import LiveWorker, TaskCapabilities, WorkerCapabilities
from batchpool.ledger.values.job_spec import JobSpec


@dataclass(frozen=True)
class Requirements:
    """The requirements of a job on its workers.

    `code` is the version of the task with which the job has begun; None if it has not.
    """

    task: str
    backend: str
    start_method: str | None = None
    code: str | None = None

    @classmethod
    def of_spec(cls, spec: JobSpec, code: str | None = None) -> "Requirements":
        """The requirements of a stored job."""
        return cls(spec.task, spec.backend, spec.start_method, code)


@dataclass(frozen=True)
class JobPlan:
    """A job that can be run.

    Args:
        ranges: (first index, count) of its batches.
        class_id: the class of workers that gets them.
    """

    spec: JobSpec
    ranges: list[tuple[int, int]]
    class_id: str


def split_ranges(count: int, batches: int) -> list[tuple[int, int]]:
    """Cut 0..count-1 into `batches` contiguous (first, count) whose sizes differ by at most 1.

    Raises:
        ValueError: a batch would be empty.
    """
    if not 1 <= batches <= count:
        raise ValueError(f"batches must be 1 to {count} for {count} items, got {batches}")
    size, larger = divmod(count, batches)
    ranges = []
    first = 0
    for index in range(batches):
        length = size + (index < larger)
        ranges.append((first, length))
        first += length
    return ranges


def task_runs_on(task: TaskCapabilities, backend: str) -> bool:
    """Whether the task has the form that the backend calls, and can be imported where it runs."""
    form = BACKENDS[backend].form
    if backend == "interpreter-pool" and not task.interpreters:
        return False
    if form == "either":
        return task.has_sync or task.has_async
    return task.has_sync if form == "sync" else task.has_async


def default_backend(task: TaskCapabilities) -> str:
    """The backend of a job that names none: by the forms of its task, then by its `bound`."""
    if not task.has_sync:
        return "asyncio"
    return "process-pool" if task.bound == "cpu" else "thread-pool"


def can_run(known: WorkerCapabilities, need: Requirements) -> bool:
    """Whether workers of the class can run what `need` says."""
    task = known.tasks.get(need.task)
    if task is None or need.backend not in known.backends:
        return False
    if need.start_method is not None and need.start_method not in known.start_methods:
        return False
    if need.code is not None and task.code not in ("", need.code):
        return False
    return task_runs_on(task, need.backend)


def live_by_class(workers: Iterable[LiveWorker]) -> dict[str, list[LiveWorker]]:
    """The live workers of each class, without those that drain, which take no more batches.

    A worker that a comparison has reserved counts for its own class as well: it will come back,
    so that batches of that class wait, but are not stranded.
    """
    live: dict[str, list[LiveWorker]] = {}
    for worker in workers:
        if worker.state != "draining":
            for class_id in {worker.class_id, base_class(worker.class_id)}:
                live.setdefault(class_id, []).append(worker)
    return live


def rank_classes(
    classes: Iterable[WorkerCapabilities], workers: Iterable[LiveWorker], need: Requirements
) -> list[WorkerCapabilities]:
    """The classes that can run `need`, best first."""
    return best_first((known for known in classes if can_run(known, need)), workers)


def best_first(
    classes: Iterable[WorkerCapabilities], workers: Iterable[LiveWorker]
) -> list[WorkerCapabilities]:
    """The classes ordered: most live workers first, then the one seen last."""
    live = live_by_class(workers)
    return sorted(
        classes, key=lambda known: (-len(live.get(known.id, ())), -known.seen_ms, known.id)
    )


def superseded_classes(
    classes: Sequence[WorkerCapabilities], workers: Iterable[LiveWorker]
) -> list[str]:
    """The classes without a live worker of which a live class can run everything.

    After an upgrade or an edit they are history: no job would go to them.
    """
    live = live_by_class(workers)
    at_work = [known for known in classes if known.id in live]
    return [
        known.id
        for known in classes
        if known.id not in live and any(_covers(each, known) for each in at_work)
    ]


def _covers(one: WorkerCapabilities, other: WorkerCapabilities) -> bool:
    """Whether `one` can run what `other` can."""
    return (
        set(one.backends) >= set(other.backends)
        and set(one.start_methods) >= set(other.start_methods)
        and all(
            (same := one.tasks.get(name)) is not None
            and same.has_sync >= task.has_sync
            and same.has_async >= task.has_async
            and same.interpreters >= task.interpreters
            for name, task in other.tasks.items()
        )
    )


def class_cpus(known: WorkerCapabilities, workers: Sequence[LiveWorker]) -> int:
    """CPUs of every worker of the class: the minimum of the live ones, else the last known."""
    live = [worker.cpus for worker in live_by_class(workers).get(known.id, ())]
    return max(1, int(min(live, default=known.cpus or 1)))

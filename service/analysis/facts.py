"""What is kept of one run of a comparison: its records, boiled down to a few numbers."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

Alone = Mapping[int, tuple[float, float]]
"""Item index -> (wall_s, cpu_s) of the task when nothing else of its job ran."""


class TaskRun(NamedTuple):
    """One record, as far as the analysis needs it; `offset_s` is since the claim of its epoch."""

    index: int  # type: ignore[assignment]  # hides tuple.index
    state: str
    value: Any
    batch: int
    epoch: int
    offset_s: float
    wall_s: float
    cpu_s: float
    pid: int
    thread_id: int


@dataclass(frozen=True)
class BatchRun:
    """One batch of a run; stamps in seconds since its claim, None where none was reported."""

    index: int
    first: int
    items: int
    state: str
    worker: str
    host: str
    python: str
    gil: bool
    epochs: int
    effective_concurrency: int | None
    pool: str | None
    start_method: str | None
    queue_s: float
    wall_s: float
    """From claim to end by the ledger's clock, which counts milliseconds."""
    begin_s: float | None
    ready_s: float | None
    end_s: float | None
    usage: Mapping[str, Any] | None
    cpus: float | None


@dataclass(frozen=True)
class JobRun:
    """One run as a whole: the job's state, its times and its batches."""

    state: str
    wall_s: float
    queue_s: float
    backend: str
    batches: Sequence[BatchRun]


def solo_of(runs: Iterable[TaskRun]) -> dict[int, tuple[float, float]]:
    """What each task takes when it runs alone: the records of a sequential run."""
    return {run.index: (run.wall_s, run.cpu_s) for run in runs if run.state == "succeeded"}


def sample_facts(job: JobRun, runs: Iterable[TaskRun], alone: Alone | None) -> dict[str, Any]:
    """The facts of one run, ready for JSON.

    Args:
        runs: its records, in any order; each is read once.
        alone: what `solo_of` gave; without it waiting and contention are unknown (None).
    """
    tasks = list(runs)
    return {
        "state": job.state,
        "wall_s": job.wall_s,
        "queue_s": job.queue_s,
        "checksum": checksum(tasks),
        "states": dict(Counter(task.state for task in tasks)),
        "tasks": len(tasks),
        "task_wall_s": sum(task.wall_s for task in tasks),
        "task_cpu_s": sum(task.cpu_s for task in tasks),
        "median_task_s": median(task.wall_s for task in tasks) if tasks else None,
    }


def checksum(runs: Iterable[TaskRun]) -> str:
    """SHA-256 over (index, value) of all items in order, so that equal work has equal sums."""
    digest = hashlib.sha256()
    for run in sorted(runs, key=lambda run: run.index):
        value = json.dumps(run.value, sort_keys=True, separators=(",", ":"))
        digest.update(f"{run.index}:{run.state}:{value}\n".encode())
    return digest.hexdigest()

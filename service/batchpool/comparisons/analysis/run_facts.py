"""What is kept of one run of a comparison: its records, boiled down to a few numbers."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from batchpool.comparisons.analysis.time_breakdown import (
    PhaseTimes,
    TaskTime,
    medians,
    most_in_flight,
    split_task_time,
    time_breakdown,
    total,
)

BaselineTimes = Mapping[int, tuple[float, float]]
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
    closed_s: float | None
    """When the last records were handed over."""
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


def baseline_times(*runs: Iterable[TaskRun]) -> dict[int, tuple[float, float]]:
    """What each task takes when it runs alone, from the records of sequential runs.

    Of several runs the one in which it was off the CPU for the shortest time counts: a task
    that was held up by a stranger waited for that one, not for what it waits for.
    """
    alone: dict[int, tuple[float, float]] = {}
    for run in (run for records in runs for run in records):
        if run.state != "succeeded":
            continue
        found = alone.get(run.index)
        if found is None or run.wall_s - run.cpu_s < found[0] - found[1]:
            alone[run.index] = (run.wall_s, run.cpu_s)
    return alone


def run_facts(job: JobRun, runs: Iterable[TaskRun], alone: BaselineTimes | None) -> dict[str, Any]:
    """The facts of one run, ready for JSON.

    Args:
        runs: its records, in any order.
        alone: what `baseline_times` gave; without it waiting and contention are unknown (None).
    """
    tasks = sorted(runs, key=lambda run: run.index)
    spent: dict[int, list[TaskTime]] = {batch.index: [] for batch in job.batches}
    for run in tasks:
        known = None if alone is None else alone.get(run.index)
        spent.setdefault(run.batch, []).append(
            split_task_time(run.offset_s, run.wall_s, run.cpu_s, known)
        )
    everything = [task for batch in spent.values() for task in batch]
    return {
        "state": job.state,
        "wall_s": job.wall_s,
        "queue_s": job.queue_s,
        "startup_s": max((_startup_s(batch) for batch in job.batches), default=0.0),
        "checksum": checksum(tasks),
        "states": dict(Counter(task.state for task in tasks)),
        "tasks": len(tasks),
        "epochs_max": max((batch.epochs for batch in job.batches), default=0),
        "parts": _parts(job, spent),
        "per_task": medians(everything),
        "task_wall_s": sum(task.wall_s for task in everything),
        "task_cpu_s": sum(task.cpu_s for task in everything),
        "task_waiting_s": total(task.waiting_s for task in everything),
        "alone_s": _alone_s(tasks, alone),
        "max_in_flight": _in_flight(job, spent),
        **_places(job.batches),
        **_usage(job.batches),
    }


def checksum(runs: Iterable[TaskRun]) -> str:
    """SHA-256 over (index, state, value) of records in order: equal work has equal sums."""
    digest = hashlib.sha256()
    for run in runs:
        value = json.dumps(run.value, sort_keys=True, separators=(",", ":"))
        digest.update(f"{run.index}:{run.state}:{value}\n".encode())
    return digest.hexdigest()


def _startup_s(batch: BatchRun) -> float:
    if batch.ready_s is None or batch.begin_s is None:
        return 0.0
    return batch.ready_s - batch.begin_s


def _parts(job: JobRun, spent: Mapping[int, Sequence[TaskTime]]) -> dict[str, float | None] | None:
    """Of the batch that ended last; None if it did not say when it did what."""
    if not job.batches:
        return None
    first_s = min(batch.queue_s for batch in job.batches)
    slowest = max(job.batches, key=lambda batch: batch.queue_s + batch.wall_s)
    if slowest.begin_s is None or slowest.ready_s is None or slowest.epochs > 1:
        return None
    ended_s = slowest.end_s if slowest.closed_s is None else slowest.closed_s
    if ended_s is None:
        return None
    stamps = PhaseTimes(slowest.queue_s - first_s, slowest.begin_s, slowest.ready_s, ended_s)
    lanes = max(1, slowest.effective_concurrency or 1)
    return time_breakdown(job.wall_s, stamps, lanes, job.backend, spent[slowest.index])


def _in_flight(job: JobRun, spent: Mapping[int, Sequence[TaskTime]]) -> int:
    """Over all batches, each on the clock of its own claim, which the ledger's puts in place."""
    return most_in_flight(
        task._replace(start_s=batch.queue_s + task.start_s)
        for batch in job.batches
        for task in spent[batch.index]
    )


def _alone_s(tasks: Sequence[TaskRun], alone: BaselineTimes | None) -> dict[str, float] | None:
    if alone is None or any(task.index not in alone for task in tasks):
        return None
    found = [alone[task.index] for task in tasks]
    return {"wall": sum(wall for wall, _ in found), "cpu": sum(cpu for _, cpu in found)}


def _places(batches: Sequence[BatchRun]) -> dict[str, Any]:
    cpus: dict[str, float] = {}
    for batch in batches:
        if batch.cpus is not None:
            cpus[batch.host] = max(cpus.get(batch.host, 0.0), _usable(batch))
    return {
        "effective_concurrency": [batch.effective_concurrency for batch in batches],
        "pool": [batch.pool for batch in batches],
        "start_method": [batch.start_method for batch in batches],
        "hosts": sorted({batch.host for batch in batches}),
        "workers": sorted({batch.worker for batch in batches}),
        "cpus": sum(cpus.values()) if cpus else None,
        "gil": sorted({batch.gil for batch in batches}),
        "python": sorted({batch.python for batch in batches}),
    }


def _usable(batch: BatchRun) -> float:
    quota = (batch.usage or {}).get("quota")
    return min(batch.cpus or 0.0, quota) if quota else batch.cpus or 0.0


def _usage(batches: Sequence[BatchRun]) -> dict[str, Any]:
    def reported(name: str) -> list[float]:
        found = [(batch.usage or {}).get(name) for batch in batches]
        return [number for number in found if number is not None]

    # Batches of one control group see the same throttling: it is not added up.
    return {
        "cpu_s": sum(reported("cpu_s")) if reported("cpu_s") else None,
        "peak_pss_bytes": sum(reported("peak_pss_bytes")) if reported("peak_pss_bytes") else None,
        "throttled_s": max(reported("throttled_s"), default=None),
        "load_1m": max(reported("load_1m"), default=None),
    }

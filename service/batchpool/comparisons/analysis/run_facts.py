"""The facts of one run: its records and batches reduced to a few numbers."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from batchpool.comparisons.analysis.time_breakdown import (
    PhaseTimes,
    TaskTime,
    medians,
    most_in_flight,
    split_task_time,
    time_breakdown,
    total,
)
from batchpool.ledger.values.comparison_entries import BaselineTime, RunFacts, TimeParts
from batchpool.model import Usage

NumberT = TypeVar("NumberT", int, float)
BaselineTimes = Mapping[int, BaselineTime]
"""Item index -> the time of its task when nothing else of its job ran."""


class TaskRun(NamedTuple):
    """One record, as far as the analysis needs it; `offset_s` is since the claim of its epoch."""

    index: int  # type: ignore[assignment]  # hides tuple.index
    state: str
    value: Any
    batch: int
    offset_s: float
    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class BatchRun:
    """One batch of a run; its phases in seconds since its claim, None where not reported."""

    index: int
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
    usage: Usage | None
    cpus: float | None


@dataclass(frozen=True)
class JobRun:
    """One run as a whole: the job's state, its times and its batches."""

    state: str
    wall_s: float
    queue_s: float
    backend: str
    batches: Sequence[BatchRun]


def baseline_times(*runs: Iterable[TaskRun]) -> dict[int, BaselineTime]:
    """The time of each task when it runs alone, from the records of sequential runs.

    Of several runs of a task the one with the least time off the CPU counts: a longer wait was
    caused by another program.
    """
    alone: dict[int, BaselineTime] = {}
    for run in (run for records in runs for run in records):
        if run.state != "succeeded":
            continue
        found = alone.get(run.index)
        if found is None or run.wall_s - run.cpu_s < found.wall - found.cpu:
            alone[run.index] = BaselineTime(run.wall_s, run.cpu_s)
    return alone


def run_facts(job: JobRun, runs: Iterable[TaskRun], alone: BaselineTimes | None) -> RunFacts:
    """The facts of one run; without `alone` its waiting and contention are None."""
    tasks = sorted(runs, key=lambda run: run.index)
    by_batch = _times_by_batch(job, tasks, alone)
    times = [task for batch in by_batch.values() for task in batch]
    return RunFacts(
        state=job.state,
        wall_s=job.wall_s,
        queue_s=job.queue_s,
        startup_s=max((_startup_s(batch) for batch in job.batches), default=0.0),
        checksum=checksum(tasks),
        states=dict(Counter(task.state for task in tasks)),
        tasks=len(tasks),
        epochs_max=max((batch.epochs for batch in job.batches), default=0),
        parts=_parts(job, by_batch),
        per_task=medians(times),
        task_wall_s=sum(task.wall_s for task in times),
        task_cpu_s=sum(task.cpu_s for task in times),
        task_waiting_s=total(task.waiting_s for task in times),
        alone_s=_alone_s(tasks, alone),
        max_in_flight=_in_flight(job, by_batch),
        effective_concurrency=[batch.effective_concurrency for batch in job.batches],
        pool=[batch.pool for batch in job.batches],
        start_method=[batch.start_method for batch in job.batches],
        hosts=sorted({batch.host for batch in job.batches}),
        workers=sorted({batch.worker for batch in job.batches}),
        cpus=_cpus(job.batches),
        gil=sorted({batch.gil for batch in job.batches}),
        python=sorted({batch.python for batch in job.batches}),
        cpu_s=_sum(_reported(job.batches, lambda usage: usage.get("cpu_s"))),
        peak_pss_bytes=_sum(_reported(job.batches, lambda usage: usage.get("peak_pss_bytes"))),
        # Batches of one control group see the same throttling, so it is not added up.
        throttled_s=_max(_reported(job.batches, lambda usage: usage.get("throttled_s"))),
        load_1m=_max(_reported(job.batches, lambda usage: usage.get("load_1m"))),
    )


def _times_by_batch(
    job: JobRun, tasks: Sequence[TaskRun], alone: BaselineTimes | None
) -> dict[int, list[TaskTime]]:
    by_batch: dict[int, list[TaskTime]] = {batch.index: [] for batch in job.batches}
    for run in tasks:
        known = None if alone is None else alone.get(run.index)
        by_batch.setdefault(run.batch, []).append(
            split_task_time(run.offset_s, run.wall_s, run.cpu_s, known)
        )
    return by_batch


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


def _parts(job: JobRun, by_batch: Mapping[int, Sequence[TaskTime]]) -> TimeParts | None:
    """The parts of the batch that ended last; None if it did not report its phases."""
    if not job.batches:
        return None
    first_s = min(batch.queue_s for batch in job.batches)
    slowest = max(job.batches, key=lambda batch: batch.queue_s + batch.wall_s)
    if slowest.begin_s is None or slowest.ready_s is None or slowest.epochs > 1:
        return None
    ended_s = slowest.end_s if slowest.closed_s is None else slowest.closed_s
    if ended_s is None:
        return None
    phases = PhaseTimes(slowest.queue_s - first_s, slowest.begin_s, slowest.ready_s, ended_s)
    slots = max(1, slowest.effective_concurrency or 1)
    return time_breakdown(job.wall_s, phases, slots, job.backend, by_batch[slowest.index])


def _in_flight(job: JobRun, by_batch: Mapping[int, Sequence[TaskTime]]) -> int:
    """Over all batches, each on the clock of its own claim, aligned by the ledger's clock."""
    return most_in_flight(
        task._replace(start_s=batch.queue_s + task.start_s)
        for batch in job.batches
        for task in by_batch[batch.index]
    )


def _alone_s(tasks: Sequence[TaskRun], alone: BaselineTimes | None) -> BaselineTime | None:
    if alone is None or any(task.index not in alone for task in tasks):
        return None
    found = [alone[task.index] for task in tasks]
    return BaselineTime(sum(each.wall for each in found), sum(each.cpu for each in found))


def _cpus(batches: Sequence[BatchRun]) -> float | None:
    """The CPUs of all hosts, each counted once; None where no worker said how many it has."""
    cpus: dict[str, float] = {}
    for batch in batches:
        if batch.cpus is not None:
            cpus[batch.host] = max(cpus.get(batch.host, 0.0), _usable(batch.cpus, batch.usage))
    return sum(cpus.values()) if cpus else None


def _usable(cpus: float, usage: Usage | None) -> float:
    quota = usage.get("quota") if usage else None
    return min(cpus, quota) if quota else cpus


def _reported(
    batches: Sequence[BatchRun], pick: Callable[[Usage], NumberT | None]
) -> list[NumberT]:
    found = [pick(batch.usage) for batch in batches if batch.usage]
    return [number for number in found if number is not None]


def _max(numbers: Sequence[float]) -> float | None:
    return max(numbers, default=None)


def _sum(numbers: Sequence[NumberT]) -> NumberT | None:
    return sum(numbers) if numbers else None

"""Turn the ledger's entry of a job into the job document of the API; pure."""

from collections.abc import Callable, Iterable, Sequence

from batchpool.exact_sum import ExactSum
from batchpool.jobs.fleet import Fleet
from batchpool.jobs.waiting import waiting_for
from batchpool.json_value import JsonObject
from batchpool.ledger.values.job_entries import BatchEntry, Epoch, JobEntry, Tally
from batchpool.ledger.values.job_spec import JobSpec
from batchpool.model import RECORD_STATES, TERMINAL_STATES, TaskError
from batchpool.reducers.reduction import merge
from batchpool.timestamps import rfc3339, seconds_between

MOST_NAMED = 1000
"""PIDs and workers listed; their totals are given beside them."""


def show_job(
    job: JobEntry, now_ms: int, load_fleet: Callable[[], Fleet] | None = None
) -> JsonObject:
    """The job as `GET /v1/jobs/{id}` shows it.

    Args:
        now_ms: Redis' clock, up to which a job that is not terminal is measured.
        load_fleet: loads the workers, which say what it waits for; None: it is not said.
    """
    pids, pids_total = _pids(job.batches)
    workers = list(dict.fromkeys(epoch["worker"] for epoch in _epochs(job.batches)))
    return show_summary(job, now_ms, load_fleet) | {
        "reduced": _reduced(job),
        "pids": pids,
        "pids_total": pids_total,
        "workers": workers[:MOST_NAMED],
        "workers_total": len(workers),
        "batches": [_show_batch(job, batch) for batch in job.batches],
        "links": _links(job),
    }


def show_summary(
    job: JobEntry, now_ms: int, load_fleet: Callable[[], Fleet] | None = None
) -> JsonObject:
    """The job as lists show it: without its batches."""
    total = add_sums(batch.tally.sum for batch in job.batches)
    waits = waiting_for(job, load_fleet) if load_fleet else None
    return {
        "id": job.id,
        "state": _checked_state(job.state, job.batches),
        "waiting_for": waits.to_json() if waits else None,
        "spec": show_spec(job.spec),
        "progress": add_progress(_progress(batch) for batch in job.batches),
        "sum": total.value(),
        "sum_text": sum_text(total),
        "shared_sum": _shared_sum(job),
        "timing": _timing(job, now_ms),
        "error": job.error or _missing_records(job.state, job.batches),
        "links": {"self": f"/v1/jobs/{job.id}"},
    }


def _checked_state(state: str, batches: Sequence[BatchEntry]) -> str:
    """The state, unless it is `succeeded` and items have no record of success."""
    return "failed" if _missing_records(state, batches) else state


def _missing_records(state: str, batches: Sequence[BatchEntry]) -> TaskError | None:
    missing = sum(batch.count - batch.tally.counts.get("succeeded", 0) for batch in batches)
    if state != "succeeded" or missing == 0:
        return None
    message = f"{missing} items have no record of success"
    return TaskError(type="internal", message=message, traceback=None)


def sum_text(total: ExactSum) -> str | None:
    """The sum as text, for readers whose numbers are floats; None if no value was a number."""
    value = total.value()
    return total.text() if isinstance(value, int) else None if value is None else repr(value)


def add_sums(texts: Iterable[str]) -> ExactSum:
    """The exact sum of the sums of batches, given as texts."""
    total = ExactSum()
    for text in texts:
        total.merge(ExactSum.parse(text))
    return total


def add_progress(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    """Add up counts by name."""
    total = dict.fromkeys(("total", "pending", "running", *RECORD_STATES), 0)
    for part in parts:
        for name, count in part.items():
            total[name] += count
    return total


def _progress(batch: BatchEntry) -> dict[str, int]:
    counts: dict[str, int] = {state: batch.tally.counts.get(state, 0) for state in RECORD_STATES}
    unrecorded = max(0, batch.count - batch.tally.recorded)
    running = 0
    if batch.state in TERMINAL_STATES:
        counts[batch.rest or "cancelled"] += unrecorded
        unrecorded = 0
    elif batch.state == "running":
        running = min(batch.tally.running, unrecorded)
    return {"total": batch.count, "pending": unrecorded - running, "running": running, **counts}


def show_spec(spec: JobSpec) -> JsonObject:
    shown = spec.to_json()
    # `count` is how the ledger knows the number; the API has it in `items`.
    del shown["count"]
    return shown


def _epochs(batches: Sequence[BatchEntry]) -> Iterable[Epoch]:
    return (epoch for batch in batches for epoch in batch.epochs)


def _pids(batches: Sequence[BatchEntry]) -> tuple[list[int], int]:
    """The PIDs and their number; by host, since containers have the same small ones."""
    by_host: dict[str, dict[int, None]] = {}
    unnamed = 0
    for batch in batches:
        host = batch.epochs[-1]["host"] if batch.epochs else ""
        by_host.setdefault(host, {}).update(dict.fromkeys(batch.tally.pids))
        unnamed += max(0, batch.tally.pids_total - len(batch.tally.pids))
    named = [pid for pids in by_host.values() for pid in pids]
    return named[:MOST_NAMED], len(named) + unnamed


def _shared_sum(job: JobEntry) -> JsonObject | None:
    strategy = job.spec.shared_sum
    if strategy == "none":
        return None
    return {
        "strategy": strategy,
        "observed": [batch.report.get("observed") for batch in job.batches],
        "lost": _lost(job.batches),
        "partial": any(_is_partial(batch) for batch in job.batches),
    }


def _is_partial(batch: BatchEntry) -> bool:
    return bool(batch.report.get("partial"))


def _lost(batches: Sequence[BatchEntry]) -> int | float | None:
    """Sum of the closing epochs' records minus the observed sums; None if none was observed."""
    total, known = ExactSum(), False
    for batch in batches:
        observed = batch.report.get("observed")
        if observed is not None:
            known = True
            total.merge(ExactSum.parse(batch.report.get("closing_sum", "")))
            total.add(-observed)
    return total.value() if known else None


def _ratio(part: float, whole: float | None) -> float | None:
    return part / whole if whole else None


def _timing(job: JobEntry, now_ms: int) -> JsonObject:
    """Durations of the whole job; a job that is not terminal is measured up to now.

    `startup_s`, and the run that `overhead_s` does not count, are those of the slowest batch, since
    batches run at the same time.
    """
    wall_s = seconds_between(job.started_ms, job.finished_ms or now_ms)
    tallies: list[Tally] = [batch.tally for batch in job.batches]
    task_wall_s = sum(tally.wall_s for tally in tallies)
    task_cpu_s = sum(tally.cpu_s for tally in tallies)
    runs = [batch.report["wall_s"] for batch in job.batches if "wall_s" in batch.report]
    startups = [batch.report["startup_s"] for batch in job.batches if "startup_s" in batch.report]
    ended = job.state in TERMINAL_STATES and wall_s is not None and runs
    return {
        "submitted_at": rfc3339(job.submitted_ms),
        "started_at": rfc3339(job.started_ms),
        "finished_at": rfc3339(job.finished_ms),
        "queue_s": seconds_between(job.submitted_ms, job.started_ms or job.finished_ms or now_ms),
        "wall_s": wall_s,
        "startup_s": max(startups, default=None),
        "overhead_s": max(0.0, (wall_s or 0.0) - max(runs)) if ended else None,
        "task_wall_s": task_wall_s,
        "task_cpu_s": task_cpu_s,
        "parallelism": _ratio(task_wall_s, wall_s),
        "cpu_parallelism": _ratio(task_cpu_s, wall_s),
    }


def _show_batch(job: JobEntry, batch: BatchEntry) -> JsonObject:
    report = batch.report
    strategy = job.spec.shared_sum
    shared = {
        "observed": report.get("observed"),
        "lost": _lost([batch]),
        "partial": _is_partial(batch),
    }
    return {
        "index": batch.index,
        "state": _checked_state(batch.state, [batch]),
        "first": batch.first,
        "items": batch.count,
        "progress": _progress(batch),
        "sum": ExactSum.parse(batch.tally.sum).value(),
        "shared_sum": None if strategy == "none" else shared,
        "effective_concurrency": report.get("effective_concurrency"),
        "pool": report.get("pool"),
        "start_method": report.get("start_method"),
        "queue_s": seconds_between(job.submitted_ms, batch.started_ms),
        "chosen": report.get("chosen"),
        "startup_s": report.get("startup_s"),
        "wall_s": seconds_between(batch.started_ms, batch.finished_ms),
        "phases": report.get("phases"),
        "usage": report.get("usage"),
        "error": batch.error or _missing_records(batch.state, [batch]),
        "parked": batch.parked,
        "second_try": batch.second_try,
        "leftovers": list(batch.leftovers),
        "lost_workers": batch.lost,
        "refused_writes": batch.refused,
        "epochs": [_show_epoch(epoch) for epoch in batch.epochs],
    }


def _show_epoch(epoch: Epoch) -> JsonObject:
    return {
        "worker": epoch["worker"],
        "host": epoch["host"],
        "pid": epoch["pid"],
        "ppid": epoch["ppid"],
        "python": epoch["python"],
        "gil": epoch["gil"],
        "started_at": rfc3339(epoch["started_ms"]),
        "ended_at": rfc3339(epoch["ended_ms"]),
        "end_reason": epoch["end_reason"],
    }


def _reduced(job: JobEntry) -> JsonObject:
    return {
        name: merge(reducer, (batch.reduced.get(name) for batch in job.batches)).show()
        for name, reducer in job.spec.reduce.items()
    }


def _links(job: JobEntry) -> dict[str, str]:
    base = f"/v1/jobs/{job.id}"
    links = {"self": base}
    links |= {name: f"{base}/{name}" for name in ("records", "events", "trace")}
    actions = ("retry",) if job.state in TERMINAL_STATES else ("cancel",)
    links |= {name: f"{base}/{name}" for name in actions}
    if job.spec.retry_of:
        links["retry_of"] = f"/v1/jobs/{job.spec.retry_of}"
    return links

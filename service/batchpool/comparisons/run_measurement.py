"""From the job of a run and its records to its facts, and to why it was disturbed."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from batchpool.backends.facts import facts_of
from batchpool.comparisons.analysis.run_facts import BatchRun, JobRun, TaskRun
from batchpool.ledger.blocks.record_fields import RecordDocument
from batchpool.ledger.reservations import Holder
from batchpool.ledger.values.comparison_entries import RunStart, SlotHolder
from batchpool.ledger.values.job_entries import BatchEntry, JobEntry
from batchpool.model import Phases
from batchpool.timestamps import seconds_between


def run_start(claims: Mapping[str, int], holders: Mapping[int, Holder]) -> RunStart:
    """What must be remembered of the moment before a run."""
    kept = {str(slot): SlotHolder.from_json(holder) for slot, holder in holders.items()}
    return RunStart(dict(claims), kept)


def why_disturbed(job: JobEntry | None, before: RunStart, claims: Mapping[str, int]) -> str | None:
    """Why the run does not count; None for one that ran undisturbed.

    Args:
        job: None when it was deleted before its end.
        claims: on the reserved hosts, after the run.
    """
    if job is None:
        return "its job was deleted"
    if job.state == "cancelled":
        return "its job was cancelled"
    if job.error and job.error["type"] == "queue_timeout":
        return "no worker took it in time"
    for batch in job.batches:
        if reason := _batch_disturbed(job, batch, before):
            return reason
    return _foreign_claims(job, before, claims)


def _batch_disturbed(job: JobEntry, batch: BatchEntry, before: RunStart) -> str | None:
    reasons = [epoch["end_reason"] for epoch in batch.epochs[:-1]]
    workers = [epoch["worker"] for epoch in batch.epochs]
    if batch.lost:
        return f"worker {workers[0]} was lost during the run"
    if "released" in reasons or len(set(workers)) > 1:
        return f"worker {workers[0]} left during the run"
    if len(batch.epochs) > 1 and job.state == "succeeded":
        # A task that ends its own process would do so again, and fail its arm.
        return f"the runner of worker {workers[0]} was killed during the run"
    holder = before.holders.get(str(batch.index))
    if holder and workers and workers[-1] != holder.worker:
        return f"batch {batch.index} ran on {workers[-1]}, not on {holder.worker}"
    return None


def _foreign_claims(job: JobEntry, before: RunStart, claims: Mapping[str, int]) -> str | None:
    own = Counter(epoch["host"] for batch in job.batches for epoch in batch.epochs)
    for host, count in before.claims.items():
        if host not in claims or claims[host] < count:
            return f"claims on host {host} were not counted all the time"
        foreign = claims[host] - count - own[host]
        if foreign > 0:
            noun = "batch" if foreign == 1 else "batches"
            return f"{foreign} {noun} of other jobs started on host {host} during the run"
    return None


def has_cold_pool(job: JobEntry) -> bool:
    """Whether a pool was created for a job that requested a warm one.

    Pools of threads are created for each batch in any case: they cost next to nothing.
    """
    kept = facts_of(job.spec.backend).slot_kind in ("processes", "interpreters")
    pools = [batch.report.get("pool") for batch in job.batches]
    return kept and job.spec.pool == "warm" and "fresh" in pools


def why_failed(job: JobEntry) -> str:
    """Why the run has no time that could be compared."""
    counts: Counter[str] = Counter()
    for batch in job.batches:
        counts.update(batch.tally.counts)
        if batch.rest:
            counts[batch.rest] += batch.count - batch.tally.recorded
    ended = ", ".join(f"{n} {state}" for state, n in sorted(counts.items()) if n)
    why = f"; {job.error['type']}: {job.error['message']}" if job.error else ""
    return f"its tasks ended as {ended or 'nothing'}{why}"


def job_run(job: JobEntry, before: RunStart) -> JobRun:
    """The job in the form that the analysis takes."""
    return JobRun(
        state=job.state,
        wall_s=seconds_between(job.started_ms, job.finished_ms) or 0.0,
        queue_s=seconds_between(job.submitted_ms, job.started_ms) or 0.0,
        backend=job.spec.backend,
        batches=[_batch_run(job, batch, before) for batch in job.batches if batch.epochs],
    )


def _batch_run(job: JobEntry, batch: BatchEntry, before: RunStart) -> BatchRun:
    epoch = batch.epochs[-1]
    # Workers of an earlier version report less.
    report = batch.report
    phases: Phases | None = report.get("phases")
    holder = before.holders.get(str(batch.index))
    return BatchRun(
        index=batch.index,
        worker=epoch["worker"],
        host=epoch["host"],
        python=epoch["python"],
        gil=epoch["gil"],
        epochs=len(batch.epochs),
        effective_concurrency=report.get("effective_concurrency"),
        pool=report.get("pool"),
        start_method=report.get("start_method"),
        queue_s=seconds_between(job.submitted_ms, batch.started_ms) or 0.0,
        wall_s=seconds_between(batch.started_ms, batch.finished_ms) or 0.0,
        begin_s=phases.get("begin_s") if phases else None,
        ready_s=phases.get("ready_s") if phases else None,
        end_s=phases.get("end_s") if phases else None,
        closed_s=phases.get("closed_s") if phases else None,
        usage=report.get("usage"),
        cpus=holder.cpus if holder else None,
    )


def task_runs(records: Iterable[RecordDocument]) -> Iterator[TaskRun]:
    """The records of items that ran."""
    for record in records:
        offset_s, wall_s, cpu_s = record["offset_s"], record["wall_s"], record["cpu_s"]
        if offset_s is not None and wall_s is not None and cpu_s is not None:
            yield TaskRun(
                index=record["index"],
                state=record["state"],
                value=record["value"],
                batch=record["batch"],
                offset_s=offset_s,
                wall_s=wall_s,
                cpu_s=cpu_s,
            )

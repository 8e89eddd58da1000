"""Retry a job: a new job of those of its items that have not succeeded."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from batchpool.api.context import ApiContext
from batchpool.api.http import no_such_job
from batchpool.api.problems import Conflict, Problem
from batchpool.api.use_cases.idempotency import idempotency_key
from batchpool.api.use_cases.submit_job import SubmittedJob
from batchpool.api.use_cases.upload_job import store_taken, take_in
from batchpool.jobs.aggregation import show_summary
from batchpool.jobs.fleet import Fleet
from batchpool.jobs.planning import JobPlan, Requirements, rank_classes, split_ranges
from batchpool.jobs.refusals import NoWorkerSeen
from batchpool.ledger.blocks.block_index import Selection
from batchpool.ledger.blocks.record_fields import RecordDocument
from batchpool.ledger.job_creation import IdempotencyKey
from batchpool.ledger.values.job_entries import JobEntry
from batchpool.ledger.values.job_spec import ItemsSummary, JobSpec
from batchpool.model import RECORD_STATES, TERMINAL_STATES

AT_ONCE = 100
"""Records whose items are in memory together."""

NOT_SUCCEEDED = frozenset(RECORD_STATES) - {"succeeded"}


def retry_job(
    context: ApiContext,
    job_id: str,
    chosen: Callable[[RecordDocument], bool] | None = None,
    key: IdempotencyKey | None = None,
) -> SubmittedJob:
    """Store the new job, unless the same key has done so before.

    Args:
        chosen: whether the item of a record is run again; default: all that have not succeeded.
        key: default: the one of the current request, if any.
    Raises:
        Problem: 404; 409 while the job runs or when all of it succeeded; 429; 503 without a
            worker; 507.
    """
    job = context.jobs.load(job_id)
    if job is None:
        raise no_such_job(job_id)
    if job.state not in TERMINAL_STATES:
        raise Conflict(f"the job is {job.state}; only jobs that have ended can be retried")
    progress = show_summary(job, 0)["progress"]
    if progress["succeeded"] == progress["total"]:
        # Known without reading the records, which may be a million.
        raise Conflict("all items of the job have succeeded; there is nothing to retry")
    items = _ItemsOf(context.records.stream(job, wanted=Selection(NOT_SUCCEEDED)), chosen)
    with take_in(context, items, progress["total"]) as taken:
        if items.read < progress["total"] - progress["succeeded"]:
            raise Conflict("some items or records of the job cannot be read (GET /v1/broken)")
        if not taken.items.count:
            raise Conflict("no item of the job failed in this way")
        spec = _again(job, taken.summary)
        ranges = split_ranges(spec.count, spec.batches)
        plan = JobPlan(spec, ranges, _class_id(spec, context.fleets.fresh()))
        key = key or idempotency_key(context, {"retry_of": job_id})
        return store_taken(context, plan, taken, key)


class _ItemsOf:
    """The items of records, in lists.

    Attributes:
        read: how many records there were so far.
    """

    def __init__(
        self, records: Iterator[RecordDocument], chosen: Callable[[RecordDocument], bool] | None
    ) -> None:
        self._records = records
        self._chosen = chosen
        self.read = 0

    def __iter__(self) -> Iterator[list[Any]]:
        while part := list(islice(self._records, AT_ONCE)):
            self.read += len(part)
            yield [each["item"] for each in part if not self._chosen or self._chosen(each)]


def _again(job: JobEntry, items: ItemsSummary) -> JobSpec:
    return replace(
        job.spec,
        count=items.count,
        items=items,
        batches=min(job.spec.batches, items.count),
        retry_of=job.id,
        # A run that a user retries is not a sample of its comparison.
        comparison=None,
    )


def _class_id(spec: JobSpec, fleet: Fleet) -> str:
    ranked = rank_classes(fleet.classes, fleet.workers, Requirements.of_spec(spec))
    if ranked:
        return ranked[0].id
    if not fleet.classes:
        raise NoWorkerSeen
    raise Problem(
        422,
        "Invalid request",
        f"no worker that was seen can run task {spec.task!r} on {spec.backend} now",
    )

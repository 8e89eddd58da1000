"""Submit a job: admit it, store it and queue its batches in one step."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, starmap
from typing import Any, NamedTuple, TypeAlias

from batchpool.api.context import ApiContext
from batchpool.api.problems import Problem, StorageFull, TooMuchQueued
from batchpool.api.settings import ApiSettings
from batchpool.api.use_cases.idempotency import idempotency_key_of
from batchpool.jobs.admission import Limits, admit
from batchpool.jobs.fleet import admit_with_fresh_fleet
from batchpool.jobs.planning import JobPlan
from batchpool.ledger.blocks.item_upload import UPLOAD_TTL_S
from batchpool.ledger.job_creation import (
    Bulk,
    CapacityLimits,
    Created,
    IdempotencyKey,
    MemoryFull,
    QueueFull,
    UploadLost,
)
from batchpool.ledger.values.job_entries import JobEntry, NewJob, UploadedItems, new_entry
from batchpool.queue import rq_queue
from batchpool.schemas.job_requests import JobRequest

Items: TypeAlias = list[Any] | UploadedItems | None


def new_job_id() -> str:
    """A new id that sorts roughly by time: 11 digits of milliseconds, 13 random ones."""
    return f"{time.time_ns() // 1_000_000:011x}{secrets.token_hex(7)[:13]}"


class SubmittedJob(NamedTuple):
    """A submitted job; its entry is None if an earlier request with the same key stored it."""

    job_id: str
    job: JobEntry | None


class DryRun(NamedTuple):
    """What would be submitted; `first_id` is the job that an earlier request with this key made."""

    plan: JobPlan
    first_id: str | None


def submit(context: ApiContext, request: JobRequest) -> SubmittedJob:
    """Store a job, unless an earlier request with the same key has done so.

    Raises:
        Refusal: what cannot be admitted.
        KeyReused: the key was used with another body.
        Problem: 429 or 507.
    """
    plan = _plan(context, request)
    key = idempotency_key_of(context, request, plan.spec.items)
    return store(context, plan, request.items, key)


def try_to_submit(context: ApiContext, request: JobRequest) -> DryRun:
    """Find out whether a job could be stored; raises what `submit` would."""
    plan = _plan(context, request)
    key = idempotency_key_of(context, request, plan.spec.items)
    return try_to_store(context, plan, request.items, key)


def _plan(context: ApiContext, request: JobRequest) -> JobPlan:
    limits = job_limits(context.settings)
    return admit_with_fresh_fleet(context.fleets, lambda fleet: admit(request, fleet, limits))


def job_limits(settings: ApiSettings) -> Limits:
    """Limits on one job, by the settings."""
    # A job larger than the queue would be answered 429 for ever.
    return Limits(min(settings.max_items, settings.max_queued_items), settings.max_batches)


def store(
    context: ApiContext,
    plan: JobPlan,
    items: Items,
    key: IdempotencyKey | None = None,
    job_id: str | None = None,
) -> SubmittedJob:
    """Write a planned job, and queue its batches, in one step."""
    new = plan_to_new(context.settings, plan, items, job_id or new_job_id())
    job_id, submitted_ms, _ = create_all(context, Bulk(new.id, [new]), key)
    return SubmittedJob(job_id, None if submitted_ms is None else new_entry(new, submitted_ms))


def try_to_store(
    context: ApiContext, plan: JobPlan, items: Items, key: IdempotencyKey | None
) -> DryRun:
    """Find out whether a planned job could be written; raises what `store` would."""
    new = plan_to_new(context.settings, plan, items, new_job_id())
    found = create_all(context, Bulk(new.id, [new]), key, dry_run=True)
    return DryRun(plan, None if found.name == new.id else found.name)


def plan_to_new(settings: ApiSettings, plan: JobPlan, items: Items, job_id: str) -> NewJob:
    """The job to be written for a plan."""
    return NewJob(
        id=job_id,
        spec=plan.spec,
        ranges=plan.ranges,
        items=items,
        queue=plan.class_id,
        timeout_s=plan.spec.timeout_s,
        queue_timeout_s=plan.spec.queue_timeout_s,
        result_ttl_s=settings.result_ttl_s,
    )


def create_all(
    context: ApiContext, bulk: Bulk, key: IdempotencyKey | None, dry_run: bool = False
) -> Created:
    """Write jobs, and queue their batches, in one step: all or none; a dry run writes nothing.

    Raises:
        KeyReused: the key was used with another body.
        Problem: 408, 429 or 507.
    """
    by_class: dict[str, list[tuple[str, int]]] = {}
    for new in bulk.jobs:
        batches = by_class.setdefault(new.queue, [])
        batches += [(new.id, index) for index in range(len(new.ranges))]
    queueing = chain.from_iterable(starmap(rq_queue.enqueue_commands, by_class.items()))
    jobs = "this job" if len(bulk.jobs) == 1 else "these jobs"
    with room_problems(jobs, bulk.reducer_bytes):
        return context.jobs_writer.create(bulk, queueing, key, room_of(context.settings), dry_run)


def room_of(settings: ApiSettings) -> CapacityLimits:
    """Limits on all jobs, by the settings."""
    return CapacityLimits(queued_items=settings.max_queued_items)


@contextmanager
def room_problems(jobs: str = "this job", reducer_bytes: int = 0) -> Iterator[None]:
    """Answer what the ledger refuses, as problems.

    Args:
        reducer_bytes: what the states of the reducers of these jobs may take.
    """
    try:
        yield
    except QueueFull as full:
        raise TooMuchQueued(
            f"with {jobs}, {full.used} items would wait for a worker; at most {full.most} can "
            "(BATCHPOOL_MAX_QUEUED_ITEMS)"
        ) from None
    except MemoryFull as full:
        reserved = f" ({reducer_bytes} of them for its reducers)" if reducer_bytes else ""
        raise StorageFull(
            f"with {jobs}, Redis would hold {full.used} bytes{reserved}; jobs can use at most "
            f"{full.most}. Delete jobs, or wait until some expire"
        ) from None
    except UploadLost:
        raise Problem(
            408,
            "Request Timeout",
            f"the items that came first have expired: after {UPLOAD_TTL_S} s without more of them",
        ) from None

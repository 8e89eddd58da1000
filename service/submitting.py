"""A job is written here: admitted, described, and stored with its RQ jobs in one step."""

import secrets
import time
from typing import Any, NamedTuple

from flask import request
from redis.client import Pipeline

from service import rq_queue
from service.admission import Admitted, Limits, admit
from service.context import Service
from service.digest import canonical_digest
from service.errors import Conflict, Problem, StorageFull, TooMuchQueued, refuse
from service.models import JobRequest
from workers.ledger.entries import JobEntry, NewJob, new_entry
from workers.ledger.orders import IdempotencyKey, KeyReused, MemoryFull, QueueFull, Room

MOST_KEY_CHARS = 255


def new_job_id() -> str:
    """A fresh id that sorts roughly by time: 11 digits of milliseconds, 13 of chance."""
    return f"{time.time_ns() // 1_000_000:011x}{secrets.token_hex(7)[:13]}"


class Submitted(NamedTuple):
    """The job that a request made; None where an earlier one with the same key has made it."""

    job_id: str
    job: JobEntry | None


def submit(service: Service, order: JobRequest) -> Submitted:
    """Store the job that was ordered, unless the same key has done so before.

    Raises:
        Problem: 409, 422, 429, 503 or 507.
    """
    admitted = _admit(service, order)
    return store(service, admitted, order.items, _order_key(service, order, admitted.spec))


def _admit(service: Service, order: JobRequest) -> Admitted:
    settings = service.settings
    # A job that could never wait would be told for ever to come back later.
    limits = Limits(min(settings.max_items, settings.max_queued_items), settings.max_batches)
    try:
        return admit(order, service.fleets.recent(), limits)
    except Problem:
        return admit(order, service.fleets.now(), limits)


def store(
    service: Service,
    admitted: Admitted,
    items: list[Any] | None,
    key: IdempotencyKey | None = None,
) -> Submitted:
    """Write an admitted job, and its RQ jobs, in one step."""
    spec = admitted.spec
    new = NewJob(
        id=new_job_id(),
        spec=spec,
        ranges=admitted.ranges,
        items=items,
        queue=admitted.class_id,
        timeout_s=spec["timeout_s"],
        queue_timeout_s=spec["queue_timeout_s"],
        result_ttl_s=service.settings.result_ttl_s,
    )

    def enqueue(pipe: Pipeline) -> None:
        batches = [(new.id, index) for index in range(len(new.ranges))]
        rq_queue.enqueue(service.bulk, pipe, new.queue, batches, new.queue_timeout_s)

    room = Room(queued_items=service.settings.max_queued_items)
    try:
        job_id, submitted_ms = service.submitting.create(new, enqueue, key, room)
    except KeyReused:
        raise Conflict(
            "this Idempotency-Key was used for another body; allowed: the same body, or a new key"
        ) from None
    except QueueFull as full:
        raise TooMuchQueued(
            f"with this job, {full.used} items would wait for a worker; allowed are {full.most} "
            "(BATCHPOOL_MAX_QUEUED_ITEMS)"
        ) from None
    except MemoryFull as full:
        raise StorageFull(
            f"with this job, Redis would come to {full.used} bytes of the {full.most} that jobs "
            "may fill; delete jobs, or wait until some are"
        ) from None
    return Submitted(job_id, None if submitted_ms is None else new_entry(new, submitted_ms))


def _order_key(service: Service, order: JobRequest, spec: dict[str, Any]) -> IdempotencyKey | None:
    if "Idempotency-Key" not in request.headers:
        return None
    # What the client asked for, not what it became: defaults follow the workers of the moment.
    asked = order.model_dump(exclude={"items"}) | {"items": spec["items"]["sha256"]}
    return idempotency_key(service, asked)


def idempotency_key(service: Service, asked: dict[str, Any]) -> IdempotencyKey | None:
    """The key of the current request, None without one; `asked` is what it stands for."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not (0 < len(key) <= MOST_KEY_CHARS and key.isascii() and key.isprintable()):
        raise refuse(
            "Idempotency-Key", f"allowed are 1 to {MOST_KEY_CHARS} printable ASCII characters"
        )
    caller = canonical_digest(request.headers.get("Authorization", ""))
    return IdempotencyKey(
        scope=f"{request.method} {request.path} {caller}",
        key=key,
        body_sha256=canonical_digest(asked),
        ttl_s=service.settings.idempotency_ttl_s,
    )

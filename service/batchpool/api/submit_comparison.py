"""A comparison is written here: admitted, its time estimated, and stored for the driver."""

import secrets
from typing import NamedTuple

from flask import request

from batchpool.api.context import ApiContext
from batchpool.api.idempotency import idempotency_key
from batchpool.api.problems import Conflict, TooMuchQueued, field_problem
from batchpool.api.submit_job import new_job_id
from batchpool.comparisons.admission import AdmittedComparison, admit_comparison
from batchpool.comparisons.duration import TaskTime, known_wait_s, least_s
from batchpool.ledger.comparisons import ComparisonSnapshot, NewComparison
from batchpool.ledger.job_creation import KeyReused, QueueFull
from batchpool.model import TERMINAL_STATES
from batchpool.schemas.comparison_requests import MOST_SEED, ComparisonRequest
from batchpool.schemas.refusals import Refusal

LOOKED_AT = 100
"""Jobs, the newest first, among which one of the same task and params is looked for."""


class SubmittedComparison(NamedTuple):
    """The comparison that a request made; None where it was made before and is gone since."""

    comparison_id: str
    seen: ComparisonSnapshot | None


def submit_comparison(here: ApiContext, order: ComparisonRequest) -> SubmittedComparison:
    """Store the comparison that was ordered, unless the same key has done so before.

    Raises:
        Problem: 409, 422, 429 or 503.
    """
    admitted = _admit(here, order)
    _check_time(here, admitted)
    new = NewComparison(
        id=new_job_id(),
        spec=admitted.spec,
        class_id=admitted.class_id,
        items=order.items,
        result_ttl_s=here.settings.result_ttl_s,
    )
    asked = order.model_dump(exclude={"items"}) | {"items": admitted.spec["items"]["sha256"]}
    key = idempotency_key(here, asked) if "Idempotency-Key" in request.headers else None
    most = here.settings.max_comparisons
    try:
        comparison_id, _ = here.comparisons_writer.create(new, most, key)
    except KeyReused:
        raise Conflict(
            "this Idempotency-Key was used with another body; send that body, or use a new key"
        ) from None
    except QueueFull as full:
        raise TooMuchQueued(
            f"with this one, {full.used} comparisons would wait or run; at most {full.most} can "
            "(BATCHPOOL_MAX_COMPARISONS)"
        ) from None
    return SubmittedComparison(comparison_id, here.comparisons.load(comparison_id))


def _admit(here: ApiContext, order: ComparisonRequest) -> AdmittedComparison:
    most_batches = here.settings.max_batches
    try:
        return admit_comparison(order, here.fleets.cached(), most_batches, _seed)
    except Refusal:
        return admit_comparison(order, here.fleets.fresh(), most_batches, _seed)


def _seed() -> int:
    return secrets.randbelow(min(MOST_SEED, 1 << 31))


def _check_time(here: ApiContext, admitted: AdmittedComparison) -> None:
    spec = admitted.spec
    task = TaskTime(known_wait_s(spec["params"]), _remembered_cpu_s(here, spec))
    least = least_s(spec, task)
    most = here.settings.comparison_max_s
    if least > most:
        raise field_problem(
            "rounds",
            f"the comparison would take at least {least:.0f} s; it can take at most {most:g} s "
            "(BATCHPOOL_COMPARISON_MAX_S): use fewer rounds, arms or items, or shorter tasks",
        )


def _remembered_cpu_s(here: ApiContext, spec: dict[str, object]) -> float:
    """CPU time of one such task, from the last job of the same task and params; else 0."""
    ids = here.jobs.page(LOOKED_AT)
    for job_id, head in zip(ids, here.jobs.load_headers(ids), strict=True):
        if (
            head is not None
            and head.state in TERMINAL_STATES
            and (head.spec.task, head.spec.params) == (spec["task"], spec["params"])
        ):
            job = here.jobs.load(job_id)
            tallies = [batch.tally for batch in job.batches] if job else []
            done = sum(tally.counts.get("succeeded", 0) for tally in tallies)
            if done:
                return sum(tally.cpu_s for tally in tallies) / done
    return 0.0

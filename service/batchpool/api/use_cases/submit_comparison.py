"""Submit a comparison: admit it, estimate its duration, and store it for the driver."""

import secrets
from typing import NamedTuple

from batchpool.api.context import ApiContext
from batchpool.api.problems import TooMuchQueued, field_problem
from batchpool.api.use_cases.idempotency import idempotency_key_of
from batchpool.api.use_cases.submit_job import new_job_id
from batchpool.comparisons.admission import AdmittedComparison, admit_comparison
from batchpool.comparisons.duration import LeastTime, known_wait_s, least_s
from batchpool.jobs.fleet import admit_with_fresh_fleet
from batchpool.ledger.comparisons import ComparisonSnapshot, NewComparison
from batchpool.ledger.job_creation import Created, QueueFull
from batchpool.ledger.values.comparison_entries import ComparisonSpec
from batchpool.model import TERMINAL_STATES
from batchpool.schemas.comparison_requests import MOST_SEED, ComparisonRequest

JOBS_SEARCHED = 100
"""The newest jobs, among which one of the same task and params is searched for."""


class SubmittedComparison(NamedTuple):
    """The comparison of a request; no snapshot if the same key created it and it was deleted."""

    comparison_id: str
    snapshot: ComparisonSnapshot | None


class ComparisonDryRun(NamedTuple):
    """What would be submitted.

    Args:
        least_s: the seconds that it takes at least.
        first_id: the comparison that an earlier request with this key made.
    """

    admitted: AdmittedComparison
    least_s: float
    first_id: str | None


def submit_comparison(context: ApiContext, request: ComparisonRequest) -> SubmittedComparison:
    """Store the requested comparison, unless an earlier request with the same key did.

    Raises:
        Refusal: what cannot be admitted.
        KeyReused: the key was used with another body.
        Problem: 422 or 429.
    """
    admitted, _ = _admit(context, request)
    comparison_id, *_ = _create(context, request, admitted)
    return SubmittedComparison(comparison_id, context.comparisons.load(comparison_id))


def try_to_submit_comparison(context: ApiContext, request: ComparisonRequest) -> ComparisonDryRun:
    """Find out whether a comparison could be stored; raises what `submit_comparison` would."""
    admitted, least = _admit(context, request)
    found = _create(context, request, admitted, dry_run=True)
    first_id = found.name if found.submitted_ms is None else None
    return ComparisonDryRun(admitted, least, first_id)


def _admit(context: ApiContext, request: ComparisonRequest) -> tuple[AdmittedComparison, float]:
    """The comparison as it would be run, and the seconds that it takes at least."""
    most_batches = context.settings.max_batches
    admitted = admit_with_fresh_fleet(
        context.fleets, lambda fleet: admit_comparison(request, fleet, most_batches, _seed)
    )
    return admitted, _check_duration(context, admitted.spec)


def _create(
    context: ApiContext,
    request: ComparisonRequest,
    admitted: AdmittedComparison,
    dry_run: bool = False,
) -> Created:
    new = NewComparison(
        id=new_job_id(),
        spec=admitted.spec,
        class_id=admitted.class_id,
        items=request.items,
        result_ttl_s=context.settings.result_ttl_s,
    )
    key = idempotency_key_of(context, request, admitted.spec.items)
    most = context.settings.max_comparisons
    try:
        return context.comparisons_writer.create(new, most, key, dry_run)
    except QueueFull as full:
        raise TooMuchQueued(
            f"with this one, {full.used} comparisons would wait or run; at most {full.most} can "
            "(BATCHPOOL_MAX_COMPARISONS)"
        ) from None


def _seed() -> int:
    return secrets.randbelow(min(MOST_SEED, 1 << 31))


def _check_duration(context: ApiContext, spec: ComparisonSpec) -> float:
    """The seconds that it takes at least."""
    task = LeastTime(known_wait_s(spec.params), _remembered_cpu_s(context, spec))
    least = least_s(spec, task)
    most = context.settings.comparison_max_s
    if least > most:
        raise field_problem(
            "rounds",
            f"the comparison would take at least {least:.0f} s; it can take at most {most:g} s "
            "(BATCHPOOL_COMPARISON_MAX_S): use fewer rounds, arms or items, or shorter tasks",
        )
    return least


def _remembered_cpu_s(context: ApiContext, spec: ComparisonSpec) -> float:
    """CPU time of one such task, from the last job of the same task and params; else 0."""
    ids = context.jobs.page(JOBS_SEARCHED)
    for job_id, head in zip(ids, context.jobs.load_headers(ids), strict=True):
        if (
            head is not None
            and head.state in TERMINAL_STATES
            and (head.spec.task, head.spec.params) == (spec.task, spec.params)
        ):
            job = context.jobs.load(job_id)
            tallies = [batch.tally for batch in job.batches] if job else []
            done = sum(tally.counts.get("succeeded", 0) for tally in tallies)
            if done:
                return sum(tally.cpu_s for tally in tallies) / done
    return 0.0

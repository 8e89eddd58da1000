"""Retry the jobs that match a filter, each of them once."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from batchpool.api.context import ApiContext
from batchpool.api.problems import Problem
from batchpool.api.use_cases.retry_job import retry_job
from batchpool.jobs.items_digest import canonical_digest
from batchpool.jobs.refusals import NoWorkerSeen
from batchpool.ledger.job_creation import IdempotencyKey

RETRIED_STATES = ("failed", "cancelled")
MOST_S = 10.0
"""Seconds after which no further job is begun: a job's items are read and written again."""


class RetriedJobs(NamedTuple):
    """How many jobs were retried and could not be, and whether time or room ended it before."""

    taken: int
    refused: int
    is_cut: bool


def retry_many(context: ApiContext, job_ids: Sequence[str]) -> RetriedJobs:
    """Retry jobs in this order; those that were retried in this way before are not again.

    Raises:
        Problem, NoWorkerSeen: no job at all could be retried: 429, 503 or 507.
    """
    taken = refused = 0
    until = time.monotonic() + MOST_S
    for job_id in not_retried(context, job_ids):
        if time.monotonic() > until:
            return RetriedJobs(taken, refused, True)
        try:
            new = retry_job(context, job_id, key=_key(context, job_id))
        except (Problem, NoWorkerSeen) as error:
            if isinstance(error, Problem) and error.status in (404, 409, 422):
                refused += 1
                continue
            if not taken:
                raise
            return RetriedJobs(taken, refused, True)
        # Without its entry, another request has retried it meanwhile.
        taken += new.job is not None
    return RetriedJobs(taken, refused, False)


def not_retried(context: ApiContext, job_ids: Sequence[str]) -> list[str]:
    """Those of the jobs that `retry_many` has not retried."""
    with context.redis.pipeline(transaction=False) as pipe:
        for job_id in job_ids:
            pipe.exists(_key(context, job_id).name)
        found = pipe.execute()
    return [job_id for job_id, is_there in zip(job_ids, found, strict=True) if not is_there]


def _key(context: ApiContext, job_id: str) -> IdempotencyKey:
    # It outlives the job, which has ended: a second request goes on where the first one ended.
    digest = canonical_digest({"retry_of": job_id})
    return IdempotencyKey("retry of many", job_id, digest, context.settings.result_ttl_s)

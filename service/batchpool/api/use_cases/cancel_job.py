"""Cancel a job that has not ended."""

from batchpool.api.context import ApiContext
from batchpool.api.http import check_job_id, no_such_job
from batchpool.api.problems import Conflict
from batchpool.ledger.jobs import Snapshot


def cancel_job(context: ApiContext, job_id: str) -> Snapshot:
    """Cancel a job; returns it as it is then.

    Raises:
        Problem: 404; 409 if it has ended.
    """
    outcome = context.jobs.cancel(check_job_id(job_id))
    seen = context.jobs.load_snapshot(job_id)
    if outcome == "missing" or seen is None:
        raise no_such_job(job_id)
    if outcome == "terminal":
        state = seen.job.state
        raise Conflict(
            f"the job has already ended ({state}); only queued or running jobs can be cancelled"
        )
    return seen

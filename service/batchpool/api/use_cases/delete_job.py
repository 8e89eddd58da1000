"""Delete a job that has ended, and what is queued of it."""

from batchpool.api.context import ApiContext
from batchpool.api.http import check_job_id, no_such_job
from batchpool.api.problems import Conflict
from batchpool.queue import rq_queue
from batchpool.queue.messages import rq_id


def delete_job(context: ApiContext, job_id: str) -> None:
    """Delete a job.

    Raises:
        Problem: 404; 409 while the job runs.
    """
    job = context.jobs.load(check_job_id(job_id))
    outcome = context.jobs.delete(job_id)
    if job is None or outcome == "missing":
        raise no_such_job(job_id)
    if outcome == "running":
        raise Conflict(f"the job is {job.state}; only jobs that have ended can be deleted")
    for queue in {batch.queue for batch in job.batches}:
        mine = (batch for batch in job.batches if batch.queue == queue)
        names = [rq_id(job_id, batch.index) for batch in mine]
        rq_queue.forget(context.redis, queue, names)

"""Complete specs of jobs, for tests that write them into a ledger."""

from typing import Any

from batchpool.ledger.values.job_spec import ItemsSummary, JobSpec


def job_spec(task: str = "echo", **changes: Any) -> JobSpec:
    """The spec of a job of numbers on one thread, but for `changes`."""
    count = changes.get("count", 4)
    fields: dict[str, Any] = {
        "params": {},
        "count": count,
        "items": ItemsSummary(count, "", []),
        "backend": "sequential",
        "concurrency": 1,
        "batches": 1,
        "timeout_s": 60,
        "queue_timeout_s": 60,
    }
    return JobSpec(task=task, **fields | changes)

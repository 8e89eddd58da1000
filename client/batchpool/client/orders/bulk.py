"""Submit several jobs in one request."""

import uuid
from collections.abc import Iterable

from batchpool.client.errors import ApiError
from batchpool.client.resources import Job
from batchpool.client.transport import Call, Transport, error_of
from batchpool.json_value import JsonObject


def submit_many(
    transport: Transport, jobs: Iterable[JsonObject], idempotency_key: str | None
) -> list[Job | ApiError]:
    """Submit the bodies of jobs; return each job as accepted, or why it was refused."""
    headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
    call = Call("POST", "/v1/jobs/bulk", body={"jobs": list(jobs)}, headers=headers)
    return [
        error_of(each["status"], each["problem"])
        if each["problem"]
        else Job(each["job"] or {"id": each["id"]}, transport)
        for each in transport.json(call)["jobs"]
    ]

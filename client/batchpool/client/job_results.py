"""What one job has: its records, values, failures and timeline, and a retry of its failures."""

import heapq
import uuid
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from operator import itemgetter
from typing import Any

import httpx

from batchpool.client.errors import BatchpoolError, Unreachable
from batchpool.client.reading import Missing, read_records
from batchpool.client.transport import Call, Transport
from batchpool.json_value import JsonObject

_NOT_SUCCEEDED = ("failed", "timeout", "crashed", "cancelled")


def merged_values(transport: Transport, job_id: str, missing: Missing = "fail") -> Iterator[Any]:
    """Iterate over the values of the job that this one retried, filled in by this one's.

    Items of a retry are those that its job has no value of, in their order. A retry of a retry
    fills in what that one left. A job that is no retry has its own values.

    Raises:
        BatchpoolError: items have no value, and `missing` is `fail`; or a retry is one of
            failures of some causes only, so that its items cannot be placed.
    """
    jobs = [_load(transport, job_id)]
    while (retried := jobs[0]["spec"].get("retry_of")) is not None:
        jobs.insert(0, _load(transport, retried))
    total = jobs[0]["progress"]["total"]
    lacking = jobs[-1]["progress"]["total"] - jobs[-1]["progress"]["succeeded"]
    if missing == "fail" and lacking:
        raise BatchpoolError(f"{lacking} of {total} items have no value; missing: null or skip")
    expected = 0
    for index, value in chain(_filled(transport, jobs), [(total, None)]):
        if missing == "null":
            yield from repeat(None, index - expected)
        elif missing == "fail" and index != expected:
            raise BatchpoolError(f"the value of item {expected} cannot be read (GET /v1/broken)")
        if index < total:
            yield value
        expected = index + 1


def read_trace(transport: Transport, job_id: str) -> Iterator[bytes]:
    """Iterate over the parts of `GET /v1/jobs/{id}/trace`.

    Raises:
        Unreachable: it was cut; a trace that is not whole is of no use.
    """
    headers = {"Accept": "application/json"}
    with transport.stream(f"/v1/jobs/{job_id}/trace", headers=headers) as answer:
        try:
            yield from answer.iter_bytes()
        except httpx.TransportError as error:
            raise Unreachable(f"the trace of job {job_id} was cut: {error}") from error


def _filled(transport: Transport, jobs: Sequence[JsonObject]) -> Iterator[tuple[int, Any]]:
    """Index and value of each item of the first job that has a value, there or in a retry."""
    job_id = jobs[0]["id"]
    succeeded = read_records(transport, job_id, ["succeeded"], ["index", "value"])
    own = ((each["index"], each["value"]) for each in succeeded)
    if len(jobs) == 1:
        return own
    gaps = [each["index"] for each in read_records(transport, job_id, _NOT_SUCCEEDED, ["index"])]
    if len(gaps) != jobs[1]["progress"]["total"]:
        raise BatchpoolError(
            f"job {jobs[1]['id']} retried {jobs[1]['progress']['total']} of the {len(gaps)} items "
            f"without a value of job {job_id}; only a retry of all of them can be merged"
        )
    filled = ((gaps[index], value) for index, value in _filled(transport, jobs[1:]))
    return heapq.merge(own, filled, key=itemgetter(0))


def error_groups(transport: Transport, job_id: str) -> list[JsonObject]:
    """Load the failures, grouped by type and place."""
    return list(transport.json(Call("GET", f"/v1/jobs/{job_id}/errors"))["groups"])


def retry(transport: Transport, job_id: str) -> JsonObject:
    """Submit a new job of the items that did not succeed."""
    key = {"Idempotency-Key": uuid.uuid4().hex}
    return dict(transport.json(Call("POST", f"/v1/jobs/{job_id}/retry", headers=key)))


def timeline_svg(transport: Transport, job_id: str) -> bytes:
    """Load the timeline as an image.

    Raises:
        InvalidRequest: no item has run yet.
    """
    path = f"/v1/jobs/{job_id}/report"
    call = Call("GET", path, query={"chart": "timeline"}, headers={"Accept": "image/svg+xml"})
    return transport.call(call).content


def _load(transport: Transport, job_id: str) -> JsonObject:
    return dict(transport.json(Call("GET", f"/v1/jobs/{job_id}")))

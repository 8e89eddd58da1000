"""The records of a job in the order in which they are made."""

from collections.abc import Iterator

from batchpool.client.errors import WaitTimeout
from batchpool.client.follow import wait_ended
from batchpool.client.resources import Job
from batchpool.client.transport import Query, Transport
from batchpool.json_value import JsonObject

_PAGE = 1000
_FIELDS = "index,state,value,error"
_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 0.02, 1.0


def records_as_made(transport: Transport, job: Job) -> Iterator[JsonObject]:
    """Iterate over the records of a job, each once, until the job has ended."""
    path = f"/v1/jobs/{job.id}"
    seen = bytearray(job.progress["total"])
    first, pause_s, done = 0, _SHORTEST_WAIT_S, job.done
    while first >= 0:
        query: Query = {"limit": _PAGE, "cursor": first, "fields": _FIELDS}
        for record in transport.pages(f"{path}/records", "records", query):
            if not seen[record["index"]]:
                seen[record["index"]] = 1
                yield record
        if done:
            return
        try:
            wait_ended(transport, path, f"job {job.id}", pause_s)
            done = True
        except WaitTimeout:
            pause_s = min(2 * pause_s, _LONGEST_WAIT_S)
        first = seen.find(0, first)

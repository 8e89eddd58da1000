"""The records of a job in the order in which they are made."""

from collections.abc import Iterable, Iterator

from batchpool.client.errors import Unavailable, WaitTimeout
from batchpool.client.follow import wait_ended
from batchpool.client.reading import stream_records
from batchpool.client.resources import Job
from batchpool.client.transport import Query, Transport
from batchpool.json_value import JsonObject

_PAGE = 1000
_FIELDS = ("index", "state", "value", "error")
_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 0.02, 1.0
_SHORT_JOB_S = 0.1


class Arrivals:
    """The records of one job, each once, until it has ended.

    A short job is only asked for: it needs no place among the streams that an API has open. Neither
    does any job while there is none.
    """

    def __init__(self, transport: Transport, job: Job) -> None:
        self._transport = transport
        self._job = job
        self._seen = bytearray(job.progress["total"])

    def __iter__(self) -> Iterator[JsonObject]:
        pause_s, has_ended = _SHORTEST_WAIT_S, self._job.done
        longest_s, may_stream = _SHORT_JOB_S if len(self._seen) <= _PAGE else 0.0, True
        while True:
            if may_stream and pause_s > longest_s:
                try:
                    yield from self._new(stream_records(self._transport, self._job.id, (), _FIELDS))
                    return
                except Unavailable:
                    may_stream = False
            yield from self._new(self._page())
            if has_ended:
                return
            has_ended = self._wait(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_WAIT_S)

    def _new(self, records: Iterable[JsonObject]) -> Iterator[JsonObject]:
        for record in records:
            if not self._seen[record["index"]]:
                self._seen[record["index"]] = 1
                yield record

    def _page(self) -> Iterator[JsonObject]:
        """Those by item index, from the first on that has not come."""
        first = self._seen.find(0)
        if first < 0:
            return iter(())
        query: Query = {"limit": _PAGE, "cursor": first, "fields": ",".join(_FIELDS)}
        path = f"/v1/jobs/{self._job.id}/records"
        return self._transport.pages(path, "records", query, retry_on_503=True)

    def _wait(self, wait_s: float) -> bool:
        try:
            wait_ended(self._transport, f"/v1/jobs/{self._job.id}", f"job {self._job.id}", wait_s)
            return True
        except WaitTimeout:
            return False

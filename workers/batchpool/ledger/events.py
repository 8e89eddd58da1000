"""Event streams: small marks that something changed; the state is read from the job itself."""

from collections.abc import Callable
from typing import TypedDict

from redis import Redis

from batchpool.ledger import keys
from batchpool.ledger.connection import Commands


class Event(TypedDict):
    """`type` is progress, batch, job or, once, end; `batch` is None for the job as a whole.

    Of a comparison: comparison, run or end, and `batch` is the number of the run.
    """

    type: str
    batch: int | None


class Events:
    """The event streams of the jobs in one Redis, or of comparisons with another `key_of`."""

    def __init__(self, redis: Redis, key_of: Callable[[str], str] = keys.job_key) -> None:
        self._redis: Commands = redis
        self._key_of = key_of

    def oldest_id(self, job_id: str) -> str | None:
        """The id of the oldest event that is kept."""
        oldest = self._redis.xrange(self._stream(job_id), count=1)
        return oldest[0][0].decode() if oldest else None

    def read(self, job_id: str, after: str, block_ms: int) -> list[tuple[str, Event]]:
        """The events after the id `after`; waits up to `block_ms` for one, then returns []."""
        answer = self._redis.xread({self._stream(job_id): after}, count=256, block=max(1, block_ms))
        return [
            (event_id.decode(), _parse_event(fields))
            for _, events in answer
            for event_id, fields in events
        ]

    def _stream(self, job_id: str) -> str:
        return self._key_of(job_id) + ":events"


def wait_for_entry(redis: Commands, stream: str, block_ms: int) -> bool:
    """Whether a stream has an entry; waits up to `block_ms` for the first."""
    return bool(redis.xread({stream: "0-0"}, count=1, block=max(1, block_ms)))


def _parse_event(fields: dict[bytes, bytes]) -> Event:
    batch = fields[b"batch"]
    return Event(type=fields[b"type"].decode(), batch=int(batch) if batch else None)

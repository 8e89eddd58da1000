"""The records of a job as they are written: NDJSON with cursors, until the job ends."""

import time
from collections.abc import Generator, Iterator, Mapping
from typing import cast

from redis.exceptions import RedisError

from batchpool.api.context import ApiContext, client_is_gone
from batchpool.api.event_stream import PROGRESS_EVERY_S
from batchpool.api.http import encode
from batchpool.api.long_poll import block_s
from batchpool.jobs.records_cursor import encode_cursor
from batchpool.ledger.blocks.record_fields import RecordDocument
from batchpool.ledger.blocks.written_records import WrittenRecords, end_of
from batchpool.ledger.jobs import Snapshot
from batchpool.ledger.values.job_entries import BatchEntry, JobEntry
from batchpool.model import TERMINAL_STATES
from batchpool.schemas.record_requests import RecordsQuery

GONE = {"end": "gone", "detail": "the job was deleted or has expired"}


class RecordStream:
    """The stream to one client.

    Lines are records, and between them `{"cursor": …}`, which stands for all before it; the last
    one is `{"end": state}`. A stream without it was cut: by an outage of Redis, or the end of this
    process.

    Args:
        positions: how far each batch was sent already.
    """

    def __init__(
        self, context: ApiContext, query: RecordsQuery, job_id: str, positions: list[int]
    ) -> None:
        self._context = context
        self._job_id = job_id
        self._positions = positions
        self._fields = query.chosen
        self._reader = WrittenRecords(context.redis, query.wanted)
        self._recorded = [-1] * len(positions)
        self._is_gone = client_is_gone()
        self._last_sent = time.monotonic()

    def lines(self, seen: Snapshot | None) -> Iterator[str]:
        """The lines, some at a time, from this state of the job on."""
        yield self._cursor_line()
        try:
            while seen:
                yield from self._new_records(seen.job)
                if self._is_over():
                    return
                if seen.job.state in TERMINAL_STATES:
                    # Looked up once more: what expired meanwhile was not read to its end.
                    if self._context.jobs.state(self._job_id):
                        yield encode({"end": seen.job.state}) + "\n"
                        return
                    break
                if not (yield from self._wait(seen.event)):
                    return
                seen = self._context.jobs.load_snapshot(self._job_id)
            yield encode(GONE) + "\n"
        except RedisError:
            return

    def _is_over(self) -> bool:
        return self._context.stopping.is_set() or self._is_gone()

    def _new_records(self, job: JobEntry) -> Iterator[str]:
        for batch in job.batches:
            if not self._has_news(batch):
                continue
            for position, records in self._reader.read(job, batch, self._positions[batch.index]):
                self._positions[batch.index] = position
                if records:
                    yield "".join(map(self._record_line, records)) + self._cursor_line()
                if self._is_over():
                    return
            self._recorded[batch.index] = batch.tally.recorded

    def _has_news(self, batch: BatchEntry) -> bool:
        if batch.state in TERMINAL_STATES:
            return self._positions[batch.index] != end_of(batch)
        return self._recorded[batch.index] != batch.tally.recorded

    def _wait(self, after: str) -> Generator[str, None, bool]:
        """Wait until the job has changed; False when the stream is over."""
        block_ms = int(block_s(self._context) * 1000)
        while not self._is_over():
            if events := self._context.events.read(self._job_id, after, block_ms):
                # Each batch may write several blocks a second: some are sent together.
                if all(event["type"] == "progress" for _, event in events):
                    self._context.stopping.wait(PROGRESS_EVERY_S)
                return True
            silent_s = time.monotonic() - self._last_sent
            if silent_s >= self._context.settings.event_heartbeat_s:
                yield self._cursor_line()
                if self._context.jobs.state(self._job_id) is None:
                    return True
        return False

    def _record_line(self, record: RecordDocument) -> str:
        whole = cast(Mapping[str, object], record)
        return encode({name: whole[name] for name in self._fields or whole}) + "\n"

    def _cursor_line(self) -> str:
        self._last_sent = time.monotonic()
        return encode({"cursor": encode_cursor(self._positions)}) + "\n"

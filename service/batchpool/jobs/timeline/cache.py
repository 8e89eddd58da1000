"""The spans of the jobs that were looked at last, in bounded memory."""

import threading
from collections import OrderedDict

from batchpool.jobs.timeline.job_spans import JobSpans, grown
from batchpool.ledger.blocks.block_times import TimesReader
from batchpool.ledger.values.job_entries import JobEntry

MOST_ITEMS = 2_000_000
"""Items of all jobs that are kept: some 50 bytes each. One job is kept however large it is."""


class TimelineCache:
    """Reads each block of a job once for as long as the job is kept here."""

    def __init__(self, reader: TimesReader, most_items: int = MOST_ITEMS) -> None:
        self._reader = reader
        self._most_items = most_items
        self._jobs: OrderedDict[str, JobSpans] = OrderedDict()
        # One job at a time is read, so that memory stays bounded.
        self._reading = threading.Lock()

    def complete(self, job_id: str) -> JobSpans | None:
        """The spans of a job that has ended, if they are here."""
        known = self._jobs.get(job_id)
        return known if known and known.complete else None

    def load(self, job: JobEntry) -> JobSpans:
        """The spans of a job, with those of all blocks that were written before `job` was read."""
        with self._reading:
            known = self.complete(job.id)
            if known is None:
                known = grown(
                    self._jobs.get(job.id, JobSpans()),
                    job,
                    lambda batch, after: self._reader.read(job.id, batch, after),
                )
            self._keep(job.id, known)
        return known

    def _keep(self, job_id: str, spans: JobSpans) -> None:
        self._jobs[job_id] = spans
        self._jobs.move_to_end(job_id)
        while len(self._jobs) > 1 and self._items() > self._most_items:
            self._jobs.popitem(last=False)

    def _items(self) -> int:
        return sum(spans.total for spans in self._jobs.values())

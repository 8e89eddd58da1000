"""Whether what was found broken can be read; a list without what cannot be shown."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from redis import Redis

from batchpool.ledger import keys
from batchpool.ledger.broken import UNPARSABLE, Broken, BrokenDatum, BrokenKind
from batchpool.ledger.comparisons import Comparisons
from batchpool.ledger.connection import Commands
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.quarantine import Quarantine

EntryT = TypeVar("EntryT")
ShownT = TypeVar("ShownT")


def quarantine_of(redis: Redis, lease_s: float) -> Quarantine:
    """The quarantine that leaves alone what the API can show."""
    return Quarantine(redis, Readability(redis), lease_s)


class Readability:
    """Decides by reading and showing it once more."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Commands = redis
        self._jobs = Jobs(redis)
        self._comparisons = Comparisons(redis)

    def __call__(self, datum: BrokenDatum) -> bool:
        try:
            return self._is_readable(datum)
        except UNPARSABLE:
            return False

    def _is_readable(self, datum: BrokenDatum) -> bool:
        # The models of answers: nobody else in a reconciler needs them, and they load slowly.
        from batchpool.comparisons.aggregation import show_comparison_summary
        from batchpool.jobs.aggregation import show_job

        if datum.kind == "job":
            job = self._jobs.load(keys.job_id_of(datum.key.encode()))
            return job is not None and bool(show_job(job, 0))
        if datum.kind == "comparison":
            seen = self._comparisons.load(keys.comparison_id_of(datum.key.encode()))
            return seen is not None and bool(show_comparison_summary(seen.entry, seen.now_ms))
        if datum.key in (keys.WAITING, keys.PARKED, keys.LEASES):
            batch = keys.batch_key(*keys.split_member(datum.raw_name))
            return bool(self._redis.exists(batch))
        if datum.key in (keys.JOBS, keys.DEADLINES):
            return bool(keys.job_id_of(datum.raw_name))
        if datum.key in (keys.COMPARISONS, keys.COMPARING):
            return bool(keys.comparison_id_of(datum.raw_name))
        return False


def show_readable(
    broken: Broken,
    kind: BrokenKind,
    entries: Iterable[tuple[str, EntryT]],
    show: Callable[[EntryT], ShownT],
) -> list[ShownT]:
    """What can be shown of the entries, each with its key; the rest is noted as broken."""
    found = []
    for key, entry in entries:
        try:
            found.append(show(entry))
        except UNPARSABLE as error:
            broken.note_error(kind, key, b"", error)
    return found

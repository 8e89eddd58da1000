"""The jobs that have not ended, found by the indices of their batches and never by a scan."""

from collections.abc import Iterable
from dataclasses import dataclass

from redis import Redis

from batchpool.ledger import keys
from batchpool.ledger.connection import Commands
from batchpool.ledger.newest_first import readable_ids

MOST_BATCHES = 300
"""Batches of each index that are looked at for their jobs."""


@dataclass(frozen=True)
class OpenJobs:
    """Jobs that have not ended.

    Args:
        ids: of those that run, then of those that wait or are parked, the oldest first; not all
            of them where very many wait.
        running, queued: how many there are.
        kept: all jobs, those that have ended included.
    """

    ids: tuple[str, ...]
    running: int
    queued: int
    kept: int


def load_open_jobs(redis: Redis, most: int) -> OpenJobs:
    """At most `most` of the open jobs, in one round trip."""
    commands: Commands = redis
    with commands.pipeline(transaction=False) as pipe:
        for index in (keys.LEASES, keys.PARKED, keys.WAITING):
            pipe.zrange(index, 0, MOST_BATCHES - 1)
        pipe.hmget(keys.COUNTS, "running", "queued")
        pipe.zcard(keys.JOBS)
        *indices, counts, kept = pipe.execute()
    ids: dict[str, None] = {}
    for name, members in zip((keys.LEASES, keys.PARKED, keys.WAITING), indices, strict=True):
        ids |= dict.fromkeys(readable_ids(redis, name, members, _job_id))
    running, queued = (_count(each) for each in counts)
    return OpenJobs(tuple(_first(ids, most)), running, queued, kept)


def _job_id(member: bytes) -> str:
    return keys.split_member(member)[0]


def _first(ids: Iterable[str], most: int) -> list[str]:
    return list(ids)[:most]


def _count(raw: bytes | None) -> int:
    return max(0, int(raw)) if raw and raw.lstrip(b"-").isdigit() else 0

"""Pages of an index of jobs or comparisons, newest first."""

from collections.abc import Callable

from redis import Redis

from batchpool.ledger.broken import Broken
from batchpool.ledger.connection import Commands


def page_of_ids(
    redis: Redis, index: str, limit: int, after: str | None, id_of: Callable[[bytes], str]
) -> list[str]:
    """Up to `limit` ids of the index, from the one after the key `after`; none if it is unknown.

    Args:
        id_of: reads a member; one that raises ValueError is broken, and skipped.
    """
    commands: Commands = redis
    start = 0
    if after is not None:
        rank = commands.zrevrank(index, after)
        if rank is None:
            return []
        start = rank + 1
    found: list[str] = []
    while len(found) < limit:
        missing = limit - len(found)
        members = commands.zrange(index, start, start + missing - 1, desc=True)
        found += readable_ids(redis, index, members, id_of)
        if len(members) < missing:
            break
        start += missing
    return found


def readable_ids(
    redis: Redis, index: str, members: list[bytes], id_of: Callable[[bytes], str]
) -> list[str]:
    """The ids of the members of an index that can be read; the others are noted as broken."""
    found = []
    for member in members:
        try:
            found.append(id_of(member))
        except ValueError as error:
            Broken(redis).note_error("member", index, member, error)
    return found

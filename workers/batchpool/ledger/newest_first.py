"""Pages of an index of jobs or comparisons, newest first."""

from batchpool.ledger.connection import Commands


def page_of_keys(redis: Commands, index: str, limit: int, after: str | None) -> list[bytes]:
    """Up to `limit` keys of the index, from the one after `after`; none if that is unknown."""
    start = 0
    if after is not None:
        rank = redis.zrevrank(index, after)
        if rank is None:
            return []
        start = rank + 1
    found: list[bytes] = redis.zrange(index, start, start + limit - 1, desc=True)
    return found

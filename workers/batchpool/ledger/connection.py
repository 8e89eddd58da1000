"""Connections to Redis: the one place that decides time-outs and retries."""

import re
from typing import Any

from redis import ConnectionPool, Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from batchpool.ledger.redis_url import BadRedisUrl, connection_options, refusal


class TemporarilyRefused(RedisError):
    """Redis answers but refuses to work for now: a slow script runs, or its disk fails."""


UNREACHABLE = (
    RedisConnectionError,
    RedisTimeoutError,
    OutOfMemoryError,
    ReadOnlyError,
    TemporarilyRefused,
)
"""Errors after which a later try may succeed: the server does not answer, or refuses for now."""

# By text: redis-py has no class for most of them, and Redis 6.2 wraps the error of a script.
_PASSES = re.compile(r"\b(OOM|BUSY|LOADING|MISCONF|READONLY|MASTERDOWN|NOREPLICAS)\b")

Commands = Any
"""A client or pipeline as the ledger calls it. redis-py types each answer as a union of all
encodings and protocols; the ledger's are bytes."""


def connect(url: str, *, socket_timeout_s: float = 5.0, retries: int = 0, name: str = "") -> Redis:
    """A client that answers or raises one of `UNREACHABLE` within its time-out.

    Args:
        url: redis://, rediss:// or unix://.
        retries: with a jittered backoff of 0.05 to 1 s between them; 60 rides out an outage of
            half a minute, which RQ's worker loop needs and an API must not wait for.
        name: of the connections, as CLIENT LIST shows it.
    Raises:
        BadRedisUrl: the URL cannot be used.
    """
    backoff = ExponentialWithJitterBackoff(base=0.05, cap=1.0)
    # Not Redis.from_url: there the URL's query wins, and decode_responses would break the ledger.
    options = connection_options(url) | ({"client_name": name} if name else {})
    pool = ConnectionPool(
        **options,
        socket_timeout=socket_timeout_s,
        socket_connect_timeout=min(socket_timeout_s, 2.0),
        retry=Retry(backoff, retries),
        health_check_interval=0,
    )
    return Redis.from_pool(pool)


def check_url(url: str) -> None:
    """Ask Redis whether the URL can be used; one that cannot be reached now is no fault of it.

    Raises:
        BadRedisUrl: it has another form, or Redis refuses its user, password or database.
    """
    try:
        with connect(url, socket_timeout_s=2.0) as redis:
            redis.ping()
    except UNREACHABLE as error:
        if found := refusal(error):
            raise BadRedisUrl(found) from None
    except RedisError as error:
        raise BadRedisUrl(refusal(error) or f"Redis answers: {error}") from None


def is_temporary(error: Exception) -> bool:
    """Whether a later try may succeed: the error is one of `UNREACHABLE`, or its text says so."""
    return isinstance(error, UNREACHABLE) or bool(_PASSES.search(str(error)))

"""Connections to Redis: the one place that decides time-outs and retries."""

import re
from typing import Any

from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry


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

# By its text: redis-py has no class for most, and Redis 6.2 wraps what stopped a script.
_PASSES = re.compile(r"\b(OOM|BUSY|LOADING|MISCONF|READONLY|MASTERDOWN|NOREPLICAS)\b")

Commands = Any
"""A client or pipeline as the ledger calls it. redis-py types each answer as a union of all
encodings and protocols; the ledger's are bytes."""


def connect(url: str, *, socket_timeout_s: float = 5.0, retries: int = 0) -> Redis:
    """A client that answers or raises one of `UNREACHABLE` within its time-out.

    Args:
        url: redis://, rediss:// or unix://.
        retries: with a jittered backoff of 0.05 to 1 s between them; 60 rides out an outage of
            half a minute, which RQ's worker loop needs and an API must not wait for.
    """
    backoff = ExponentialWithJitterBackoff(base=0.05, cap=1.0)
    client: Redis = Redis.from_url(
        url,
        socket_timeout=socket_timeout_s,
        socket_connect_timeout=min(socket_timeout_s, 2.0),
        retry=Retry(backoff, retries),
        health_check_interval=0,
    )
    return client


def is_temporary(error: Exception) -> bool:
    """Whether a later try may succeed: the error is one of `UNREACHABLE`, or its text says so."""
    return isinstance(error, UNREACHABLE) or bool(_PASSES.search(str(error)))

"""Connections to Redis: the one place that decides time-outs and retries."""

import os
import re
from collections.abc import Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, proxy

from redis import ConnectionPool, Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError, ResponseError
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

MOST_CONNECTIONS = 1000
"""Of one client: two for each thread of an API, and no limit that one could reach."""

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
        max_connections=MOST_CONNECTIONS,
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


Connection = Any
"""A connection of redis-py, which has other types for its kinds."""


class RoundTrips:
    """Sends commands in one round trip, over connections of a client's pool.

    Time-outs, retries and errors are those of the client; answers are not converted. It takes
    less than half of the client's CPU time: it keeps the connections between calls, and takes no
    metrics. Any thread may call it.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        # Weak, as each is kept for as long as its pool.
        self._pool: ConnectionPool = proxy(pool)
        self._pid = os.getpid()
        self._idle: list[Connection] = []

    def __call__(self, *commands: Sequence[Any]) -> list[Any]:
        """The answers to the commands, where one that is refused has its ResponseError.

        Raises:
            RedisError: nothing has answered; commands may have taken effect.
        """
        if self._pid != os.getpid():
            # What is idle is the parent's, which goes on with it.
            self._pid, self._idle = os.getpid(), []
        connection = self._ready_connection()
        try:
            answers: list[Any] = connection.retry.call_with_retry(
                partial(_exchange, connection, commands), lambda _: connection.disconnect()
            )
        except BaseException:
            # An answer that is still to come must not be taken for that of another command.
            connection.disconnect()
            raise
        finally:
            self._idle.append(connection)
        return answers

    def _ready_connection(self) -> Connection:
        try:
            connection = self._idle.pop()
        except IndexError:
            return self._pool.get_connection()
        try:
            if not connection.is_connected:
                connection.connect()
            elif _is_spent(connection):
                connection.disconnect()
                connection.connect()
        except BaseException:
            self._idle.append(connection)
            raise
        return connection


def _is_spent(connection: Connection) -> bool:
    """Whether the server has closed the connection, or there is an answer that nobody asked for."""
    try:
        return bool(connection.can_read())
    except (RedisConnectionError, RedisTimeoutError, OSError):
        return True


def _exchange(connection: Connection, commands: Sequence[Sequence[Any]]) -> list[Any]:
    packed = [part for words in commands for part in connection.pack_command(*words)]
    # Joined, so that the server gets all of them at once.
    connection.send_packed_command(packed if len(packed) == 1 else [b"".join(packed)])
    return [_answer(connection) for _ in commands]


def _answer(connection: Connection) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


_known: "WeakKeyDictionary[ConnectionPool, RoundTrips]" = WeakKeyDictionary()


def round_trips(redis: Redis) -> RoundTrips:
    """The one `RoundTrips` over the connections of a client."""
    pool = redis.connection_pool
    if pool not in _known:
        _known[pool] = RoundTrips(pool)
    return _known[pool]

"""REDIS_URL: parse it, and say what is wrong with it without showing its password."""

from typing import Any

from redis.connection import parse_url
from redis.exceptions import AuthenticationError, RedisError, ResponseError

FORM = (
    "must be redis://[[user]:password@]host[:port][/db], rediss://… or unix://path; "
    "write # / @ and : in a password as %23 %2F %40 and %3A"
)
QUERY = ("db", "username", "password", "client_name", "client_info")
"""What the query of the URL may hold, besides `ssl_…`. All else is ours to decide."""


class BadRedisUrl(ValueError):
    """The URL cannot be used."""


def connection_options(url: str) -> dict[str, Any]:
    """Split a URL into options of a redis-py connection pool.

    Options that this program sets itself (encoding, time-outs, …) are dropped from the URL's query.

    Raises:
        BadRedisUrl: with the form that it must have; no part of the URL is in the message.
    """
    try:
        options: dict[str, Any] = dict(parse_url(url))  # type: ignore[no-untyped-call]
    except ValueError:
        raise BadRedisUrl(FORM) from None
    place = ("host", "port", "path", "connection_class")
    unknown = [
        name
        for name in options
        if name not in (*place, *QUERY, *_OURS) and not name.startswith("ssl_")
    ]
    if unknown:
        known = ", ".join((*QUERY, "ssl_…"))
        raise BadRedisUrl(f"unknown option {unknown[0][:50]!r} in its query; known: {known}")
    return {name: value for name, value in options.items() if name not in _OURS}


_OURS = (
    "decode_responses",
    "encoding",
    "encoding_errors",
    "health_check_interval",
    "max_connections",
    "protocol",
    "retry_on_timeout",
    "retry_on_error",
    "socket_connect_timeout",
    "socket_keepalive",
    "socket_timeout",
    "timeout",
)


def refusal(error: RedisError) -> str | None:
    """What Redis has against the URL itself, such as its password or db; None for other errors."""
    if isinstance(error, AuthenticationError):
        return "Redis refuses its user or password"
    text = str(error)
    if isinstance(error, ResponseError) and "DB index" in text:
        return "Redis has no database of that number"
    if "NOAUTH" in text:
        return "Redis asks for a password, and it has none"
    return None

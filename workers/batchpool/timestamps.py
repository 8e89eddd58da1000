"""Timestamps of the API: RFC 3339 in UTC."""

from datetime import UTC, datetime
from typing import overload


def instant(seconds: float) -> str:
    """Seconds since the Unix epoch as RFC 3339, to the microsecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


@overload
def rfc3339(at_ms: int) -> str: ...
@overload
def rfc3339(at_ms: None) -> None: ...
def rfc3339(at_ms: int | None) -> str | None:
    """Milliseconds since the Unix epoch as RFC 3339; None stays None."""
    if at_ms is None:
        return None
    text = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def seconds_between(start_ms: int | None, end_ms: int | None) -> float | None:
    """The time from one timestamp to another, never negative; None while one is missing."""
    return None if start_ms is None or end_ms is None else max(0, end_ms - start_ms) / 1000

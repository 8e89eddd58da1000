"""JSON pointers (RFC 6901) into the values of tasks."""

import re
from collections.abc import Sequence
from typing import Any

MISSING: Any = object()
"""Stands where a value has nothing at the pointer."""

MOST_POINTER_CHARS = 1000
_WELL_FORMED = re.compile(r"(/([^/~]|~[01])*)*")
_INDEX = re.compile(r"0|[1-9][0-9]{0,17}")


def parse_pointer(text: str) -> tuple[str, ...]:
    """The names and indices on the way; none for the whole value.

    Raises:
        ValueError: it is no pointer, or too long.
    """
    if len(text) > MOST_POINTER_CHARS:
        raise ValueError(f"must have at most {MOST_POINTER_CHARS} characters")
    if not _WELL_FORMED.fullmatch(text):
        raise ValueError(
            "must be a JSON pointer: '' or '/name/0/…', with '/' in a name as '~1' and '~' as '~0'"
        )
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:])


def resolve_all(values: Sequence[Any], path: Sequence[str]) -> Sequence[Any]:
    """What stands at the path in each of the values, `MISSING` where nothing does."""
    for name in path:
        at = int(name) if _INDEX.fullmatch(name) else None
        values = [_step(value, name, at) for value in values]
    return values


def _step(value: Any, name: str, at: int | None) -> Any:
    if type(value) is dict:
        return value.get(name, MISSING)
    if type(value) is list and at is not None and at < len(value):
        return value[at]
    return MISSING

"""What a task returned or raised, as plain JSON data."""

import traceback
from collections import Counter
from json import dumps, loads
from math import isfinite
from typing import Any

from batchpool.model import MAX_VALUE_BYTES, TaskError
from batchpool.system.cpython_internals import cut_texts

MAX_INT_DIGITS = 4_000
"""Longer ints are refused. Python reads and writes up to 4300 digits: below that, with room to
spare, so that the sum of any number of values can still be written."""
MAX_DEPTH = 200
"""Deeper values are refused: each reader on the way has a limit of its own on nesting."""
MAX_MESSAGE_CHARS = 10_000
MAX_TRACEBACK_CHARS = 60_000

_INT_BOUND = 10**MAX_INT_DIGITS
# A character is at most 6 bytes of JSON (\\u0000), so shorter text needs no measuring.
_SURELY_SMALL_CHARS = (MAX_VALUE_BYTES - 2) // 6


class ValueRefused(Exception):
    """A returned value that cannot go into a record; `type` is the error's type there."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.error = TaskError(type=kind, message=message, traceback=None)


def to_json_value(value: Any) -> Any:
    """The same value as plain JSON data: numbers, text, None, lists, dicts with text keys.

    Raises:
        ValueRefused: it has no JSON form, or one that is too large.
    """
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        if -_INT_BOUND < value < _INT_BOUND:
            return value
        raise _too_large(f"an int of more than {MAX_INT_DIGITS} digits")
    if kind is float and isfinite(value):
        return value
    if kind is str and len(value) <= _SURELY_SMALL_CHARS and value.isascii():
        return value
    return _through_json(value)


def _through_json(value: Any) -> Any:
    kind = _kind_of(value)
    # Not isinstance(): what an object says of its class is a task's own code.
    if issubclass(type(value), str) and str.__len__(value) > MAX_VALUE_BYTES:
        raise _too_large(f"a text of {str.__len__(value):,} characters")
    try:
        text = dumps(value, allow_nan=False, ensure_ascii=False)
        size_bytes = len(text.encode())
    except BaseException as exc:  # encoding a task's own dict or list class runs its code
        raise ValueRefused(
            "unencodable_value", f"a {kind} that has no JSON form: {_message(exc)}"
        ) from None
    if size_bytes > MAX_VALUE_BYTES:
        raise _too_large(f"a {kind} of {size_bytes:,} bytes as JSON")
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise ValueRefused("unencodable_value", f"a {kind} nested deeper than {MAX_DEPTH} levels")
    return _load(text, kind)


def _load(text: str, kind: str) -> Any:
    doubled: set[str] = set()

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            counts = Counter(name for name, _ in pairs)
            doubled.update(name for name, count in counts.items() if count > 1)
        return found

    value = loads(text, object_pairs_hook=once)
    if doubled:
        names = ", ".join(map(repr, sorted(doubled)[:5]))
        raise ValueRefused(
            "unencodable_value", f"a {kind} with keys that are the same text in JSON: {names[:500]}"
        )
    return value


def _depth(text: str) -> int:
    deepest = depth = 0
    in_text = escaped = False
    for char in text:
        if in_text:
            in_text = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            in_text = True
        elif char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def _too_large(what: str) -> ValueRefused:
    return ValueRefused(
        "value_too_large",
        f"{what}; values must be at most {MAX_VALUE_BYTES:,} bytes of JSON, "
        f"ints at most {MAX_INT_DIGITS} digits",
    )


def task_error(exc: BaseException, own_frames: int = 1) -> TaskError:
    """What a task raised, with the frames of the task only.

    Args:
        exc: what was caught.
        own_frames: how many frames of the engine lie above the task's.
    """
    return TaskError(
        type=_type_name(exc), message=_message(exc), traceback=_traceback(exc, own_frames)
    )


def _kind_of(value: object) -> str:
    try:
        return _printable(type(value).__name__, MAX_MESSAGE_CHARS)
    except BaseException:  # a metaclass of a task may raise whatever it likes
        return "object"


def _type_name(exc: BaseException) -> str:
    try:
        kind = type(exc)
        module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        return _printable(f"{module}{kind.__qualname__}", MAX_MESSAGE_CHARS)
    except BaseException:  # as above
        return "BaseException"


def _message(exc: BaseException) -> str:
    try:
        return _printable(str(exc), MAX_MESSAGE_CHARS)
    except BaseException as broken:  # a task's own __str__ may raise whatever it likes
        return f"<its text cannot be shown: {_kind_of(broken)}>"


def _traceback(exc: BaseException, own_frames: int) -> str | None:
    try:
        frames = exc.__traceback__
        for _ in range(own_frames):
            frames = frames.tb_next if frames is not None else None
        exc = exc.with_traceback(frames)
        parts = traceback.TracebackException.from_exception(exc)
        cut_texts(parts, MAX_MESSAGE_CHARS)
        text = "".join(parts.format())
        return _printable(text[-MAX_TRACEBACK_CHARS:], MAX_TRACEBACK_CHARS)
    except BaseException as broken:
        return f"<its traceback cannot be shown: {_kind_of(broken)}>"


def _printable(text: str, most: int) -> str:
    # Cut first: an exception's text may be 100 MB. A lone surrogate is text to Python, and to no
    # encoder.
    text = text[: most + 1].encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= most else text[: most - 1] + "…"

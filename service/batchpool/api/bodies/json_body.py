"""Read JSON bodies strictly: only plain, bounded JSON is accepted."""

import gc
import json
import logging
import math
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NoReturn

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from batchpool.api.problems import MalformedBody, Problem
from batchpool.json_value import JsonObject

LOG = logging.getLogger("batchpool.api")

WHOLE_BODY = "batchpool.whole_body"
"""In the WSGI environment: the body, if the server has read all of it."""

JSON = "application/json"
MAX_DEPTH = 100
MAX_DIGITS = 4300
_CONTAINERS = (list, dict)

# Numbers that are too long show in the outline of a text: digits as 0, e and E as e, all else as
# blanks. Searching it for three such runs takes a tenth of the time of regular expressions.
_OUTLINE = bytes(
    ord("0") if chr(code).isdecimal() else ord("e") if chr(code) in "eE" else ord(" ")
    for code in range(256)
)
# 199 digits and e99 stay below 1e308.
_LONG_NUMBERS = (b"e000", b"0" * 200)
_SURROGATES = (b"\\ud", b"\\uD")
_TOO_LONG_INT = b"0" * (MAX_DIGITS + 1)


class GcPause:
    """The garbage collector is off while any thread is in a `with` of this.

    A parsed body has no cycles; looking for some took two thirds of the time of 340,000 lists.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            gc.disable()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                gc.enable()


GC_PAUSE = GcPause()


def read_body(
    request: Request, max_bytes: int, media_types: Sequence[str] = (JSON,)
) -> bytes | memoryview:
    """The whole body, not parsed.

    Args:
        media_types: those that the route takes, for the refusal of others.

    Raises:
        Problem: 400, 413 or 415, with what was sent and what it must be.
    """
    check_headers(request, max_bytes, "BATCHPOOL_MAX_BODY_BYTES", media_types)
    found: bytes | memoryview | None = request.environ.get(WHOLE_BODY)
    return _read_input(request, max_bytes) if found is None else found


def _read_input(request: Request, max_bytes: int) -> bytes:
    # Where another server has not read it, as ours does.
    # Bound the read itself too: a chunked body has no length to look at before. One byte more than
    # is allowed, since Werkzeug cuts such a body off at the bound silently.
    request.max_content_length = max_bytes + 1
    try:
        raw = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise too_large(max_bytes) from None
    except Exception as error:
        # The parser of the HTTP server raises exceptions of its own for malformed chunks.
        LOG.info("unreadable body: %r", error)
        raise MalformedBody("the body is badly chunked, or incomplete") from None
    if len(raw) > max_bytes:
        raise too_large(max_bytes)
    if request.content_length is not None and len(raw) != request.content_length:
        raise MalformedBody(f"the body ends after {len(raw)} of {request.content_length} bytes")
    return raw


class StrictParser:
    """Parses texts of which `raw` is made; what it does not have is not looked for in each."""

    def __init__(self, raw: bytes) -> None:
        outline = raw.translate(_OUTLINE, delete=b"+")
        has_long_int = _TOO_LONG_INT in outline
        # Half a surrogate pair can only come from an escape, since texts are decoded as UTF-8.
        self._has_odd_scalars = any(run in raw for run in _SURROGATES) or any(
            run in outline for run in _LONG_NUMBERS
        )
        # A text with fewer opening brackets than that cannot be too deep; most texts have fewer.
        self._may_be_deep = raw.count(b"[") + raw.count(b"{") > MAX_DEPTH
        self._decoder = json.JSONDecoder(
            parse_constant=_refuse_constant,
            parse_int=_bounded_int if has_long_int else None,
            object_pairs_hook=_unambiguous,
        )
        # What `decode` is made of: it costs four times as much for a number.
        self._scan: Callable[[str, int], tuple[Any, int]] = vars(self._decoder)["scan_once"]

    def parse(self, text: str) -> Any:
        """The value of a text.

        Raises:
            MalformedBody: it is not allowed, with what is wrong with it.
            JSONDecodeError: it is not JSON.
        """
        if text.startswith("\ufeff"):
            raise json.JSONDecodeError("Unexpected UTF-8 BOM (decode using utf-8-sig)", text, 0)
        try:
            with GC_PAUSE:
                value = self._decoder.decode(text)
        except RecursionError:
            raise MalformedBody(f"nested deeper than {MAX_DEPTH} levels") from None
        if self._may_be_deep:
            _check_depth(value)
        if self._has_odd_scalars:
            _check_scalars(value)
        return value

    def parse_all(self, texts: Sequence[str]) -> list[Any]:
        """The values of texts, all or none.

        Raises:
            ValueError, RecursionError, MalformedBody: `parse` says of which, and why; or one has
                leading blanks.
        """
        scan = self._scan
        values = []
        with GC_PAUSE:
            try:
                for text in texts:
                    value, end = scan(text, 0)
                    if end != len(text) and text[end:].strip(" \t\r"):
                        raise ValueError("more than one value")
                    values.append(value)
            except StopIteration:
                raise ValueError("no value") from None
        if self._may_be_deep:
            for text, value in zip(texts, values, strict=True):
                if text.count("[") + text.count("{") > MAX_DEPTH:
                    _check_depth(value)
        if self._has_odd_scalars:
            _check_scalars(values)
        return values


def parse_json(body: bytes | memoryview) -> Any:
    """The value of a JSON text.

    Raises:
        MalformedBody: with what is wrong with it.
    """
    raw = bytes(body)
    parser = StrictParser(raw)
    text = _decode(raw)
    # Each may have 64 MB, and the values need memory too.
    del raw, body
    try:
        return parser.parse(text)
    except json.JSONDecodeError as error:
        reason = error.msg.removesuffix(" at")
        place = f"line {error.lineno}, column {error.colno}"
        raise MalformedBody(f"not JSON: {reason} at {place}") from None


def check_headers(
    request: Request, max_bytes: int, setting: str, media_types: Sequence[str] = ()
) -> None:
    """Refuse a body by its headers.

    Args:
        setting: has the limit.
        media_types: those that are taken; default: not looked at.
    Raises:
        Problem: 413 or 415.
    """
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding != "identity":
        raise Problem(
            415,
            "Unsupported media type",
            f"Content-Encoding must be absent, got {encoding[:80]!r}",
            headers={"Accept-Encoding": "identity"},
        )
    if media_types and request.mimetype not in media_types:
        raise Problem(
            415,
            "Unsupported media type",
            f"Content-Type must be {' or '.join(media_types)}, got {request.mimetype[:80]!r}",
            headers={"Accept": ", ".join(media_types)},
        )
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise Problem(415, "Unsupported media type", f"charset must be utf-8, got {charset[:80]!r}")
    # RFC 4180: whether the first row of CSV names the columns.
    if (header := request.mimetype_params.get("header", "present").lower()) != "present":
        raise Problem(
            415,
            "Unsupported media type",
            f"header must be present, got {header[:80]!r}: the first row names the columns",
        )
    if (request.content_length or 0) > max_bytes:
        raise too_large(max_bytes, setting)


def too_large(max_bytes: int, setting: str = "BATCHPOOL_MAX_BODY_BYTES") -> Problem:
    """The problem of a body that is longer than allowed."""
    return Problem(
        413,
        "Content too large",
        f"the body must be at most {max_bytes} bytes ({setting})",
        headers={"Connection": "close"},
    )


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedBody(f"not UTF-8 at byte {error.start}") from None


def _bounded_int(digits: str) -> int:
    if len(digits.removeprefix("-")) > MAX_DIGITS:
        raise MalformedBody(f"integers must have at most {MAX_DIGITS} digits, got {len(digits)}")
    return int(digits)


def _unambiguous(pairs: list[tuple[str, Any]]) -> JsonObject:
    found = dict(pairs)
    if len(found) < len(pairs):
        (name, _), *_ = (Counter(name for name, _ in pairs)).most_common(1)
        raise MalformedBody(f"the name {name[:80]!r} is given twice in one object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedBody(f"{name} is not JSON; numbers must be finite")


def _children(level: list[Any]) -> chain[Any]:
    # With a third of a million empty containers, each would cost as much as a filled one.
    filled = filter(None, level)
    return chain.from_iterable(v.values() if type(v) is dict else v for v in filled)


def _check_depth(value: Any) -> None:
    level = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(MAX_DEPTH):
        if not level:
            return
        level = [child for child in _children(level) if type(child) in _CONTAINERS]
    raise MalformedBody(f"nested deeper than {MAX_DEPTH} levels")


def _check_scalars(value: Any) -> None:
    level = [value]
    while level:
        for found in level:
            _check_scalar(found)
        level = [
            child
            for parent in level
            if type(parent) in _CONTAINERS
            for child in (chain(parent, parent.values()) if type(parent) is dict else parent)
        ]


def _check_scalar(value: Any) -> None:
    if type(value) is float and not math.isfinite(value):
        raise MalformedBody("a number is too large for a float; numbers must be finite")
    if type(value) is str and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise MalformedBody(
                "a string has half of a surrogate pair (\\ud800 to \\udfff)"
            ) from None

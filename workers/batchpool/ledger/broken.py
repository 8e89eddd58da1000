"""Data in Redis that cannot be read: skipped by readers, named once, moved aside, listed.

A reader only notes what it has found. The reconciler moves it, after it has looked again.
"""

import json
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, TypeVar

from redis import Redis
from redis.exceptions import ResponseError

from batchpool.json_value import JsonValue
from batchpool.ledger import keys
from batchpool.ledger.connection import Commands, is_temporary

LOG = logging.getLogger("batchpool.ledger")

MOST_LISTED = 10_000
"""More than these are skipped too, but stay where they are until there is room."""

LARGEST_COUNT = 10**12

T = TypeVar("T")

UNPARSABLE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
"""Errors of code that reads what others may have written into Redis."""

BrokenKind = Literal["member", "key", "job", "comparison", "block"]


@dataclass(frozen=True)
class BrokenDatum(JsonValue):
    """One thing that cannot be read.

    Args:
        kind: a member or field of a key; a key of the wrong type; a job or comparison with all its
            keys; or a block of records, which stays where it is.
        name: the member, field or place within the key, its bytes as Latin-1; '' for a whole key.
        seen_ms: when it was found, by Redis' clock.
    """

    id: str
    kind: BrokenKind
    key: str
    name: str
    reason: str
    seen_ms: int

    @property
    def raw_name(self) -> bytes:
        return self.name.encode("latin-1")

    @property
    def aside(self) -> str:
        """The prefix of the keys to which its data are moved."""
        return keys.BROKEN_KEY + self.id


class Broken:
    """The list of broken data in one Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Commands = redis

    def note(
        self, kind: BrokenKind, key: str, name: bytes, reason: str, *, is_moved: bool = False
    ) -> BrokenDatum:
        """List what cannot be read, and log it, once.

        Args:
            is_moved: nothing is left for the reconciler to do.
        """
        found_id = broken_id(kind, key, name)
        seconds, micros = self._redis.time()
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        text = name.decode("latin-1")
        found = BrokenDatum(found_id, kind, key, text, reason[:500], now_ms)
        try:
            self._list(found, is_moved)
        except ResponseError as error:
            if not is_about_data(error):
                raise
            # The list itself is broken: the reconciler moves it, and this is found again.
            LOG.warning("could not list %s %s as broken: %s", kind, key, error)
        return found

    def _list(self, found: BrokenDatum, is_moved: bool) -> None:
        kind, key = found.kind, found.key
        if self._redis.hlen(keys.BROKEN) >= MOST_LISTED:
            return
        written = json.dumps(found.to_json())
        if self._redis.hsetnx(keys.BROKEN, found.id, written):
            name, reason = found.name[:200], found.reason
            LOG.warning("skipped the broken %s %s %r: %s", kind, key, name, reason)
        else:
            # It may have been moved before, and broken again.
            written = self._redis.hget(keys.BROKEN, found.id)
        waits = (
            is_moved or kind == "block" or self._redis.lpos(keys.BROKEN_NEW, written) is not None
        )
        if not waits:
            self._redis.rpush(keys.BROKEN_NEW, written)

    def note_error(self, kind: BrokenKind, key: str, name: bytes, error: Exception) -> None:
        """`note` with the reason that an error gives."""
        self.note(kind, key, name, f"{type(error).__name__}: {error}")

    def or_empty(self, job_id: str, read: Callable[[], T], empty: T) -> T:
        """What `read` finds of the records of a job; `empty` if a key has the wrong type.

        The job is noted then: the reconciler moves that key, and leaves the rest.
        """
        try:
            return read()
        except ResponseError as error:
            if not is_about_data(error):
                raise
            self.note_error("job", keys.job_key(job_id), b"", error)
            return empty

    def wrong_types(self, found: Iterable[str], prefix: str) -> dict[str, str]:
        """Those of the keys of a job or comparison whose type is wrong, and what is wrong.

        Args:
            prefix: the key of the job or comparison.
        """
        names = list(found)
        with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.type(name.encode("latin-1"))
            types = [kind.decode() for kind in pipe.execute()]
        return {
            name: f"it is a {kind}, not a {right}"
            for name, kind in zip(names, types, strict=True)
            if kind not in ("none", right := keys.type_of(name, prefix) or kind)
        }

    def note_batch(self, job_id: str, batch: int, error: Exception | None = None) -> str:
        """Note the job of a batch that cannot go on, if data in Redis are the reason.

        Args:
            error: what its use has raised.
        Returns:
            what is broken; '' if nothing is.
        """
        prefix = keys.job_key(job_id)
        wrong = self.wrong_types(keys.keys_of_batch(job_id, batch), prefix)
        reason = "; ".join(f"{name}: {what}" for name, what in wrong.items())
        if not reason and error is not None:
            reason = f"{type(error).__name__}: {error}"
        if reason:
            self.note("job", prefix, b"", reason)
        return reason

    def all(self) -> list[BrokenDatum]:
        """What is listed, the oldest first."""
        found = [_parsed(raw) for raw in self._redis.hvals(keys.BROKEN)]
        return sorted((each for each in found if each), key=lambda each: (each.seen_ms, each.id))

    def get(self, broken_id: str) -> BrokenDatum | None:
        raw = self._redis.hget(keys.BROKEN, broken_id)
        return _parsed(raw) if raw else None

    def new(self, limit: int) -> list[tuple[bytes, BrokenDatum | None]]:
        """Entries that wait to be moved, each as it is written and read."""
        return [(raw, _parsed(raw)) for raw in self._redis.lrange(keys.BROKEN_NEW, 0, limit - 1)]

    def done(self, raw: bytes) -> None:
        """An entry does not wait any more."""
        self._redis.lrem(keys.BROKEN_NEW, 1, raw)

    def forget(self, broken_id: str) -> bool:
        """Take an entry off the list; False if it was not there."""
        return bool(self._redis.hdel(keys.BROKEN, broken_id))


def broken_id(kind: str, key: str, name: bytes) -> str:
    """The id of an entry, the same whoever finds it."""
    return sha256(b"\0".join((kind.encode(), key.encode(), name))).hexdigest()[:24]


def _parsed(raw: bytes) -> BrokenDatum | None:
    try:
        return BrokenDatum.from_json(json.loads(raw))
    except UNPARSABLE:
        return None


def is_count(name: bytes, value: bytes) -> bool:
    """Whether a field of a hash of counts can be read, and is no absurd number."""
    try:
        number = int(value)
        name.decode()
    except ValueError:
        return False
    return 0 <= number <= LARGEST_COUNT


def is_about_data(error: Exception) -> bool:
    """Whether Redis refused a step because of the data that it found, not for another reason."""
    refused = isinstance(error, ResponseError) and not is_temporary(error)
    return refused and bool(_ABOUT_DATA.search(str(error)))


_ABOUT_DATA = re.compile(r"WRONGTYPE|not an integer|not a valid float|overflow|user_script:\d+: ")

"""Moves broken data out of the way, and puts what is whole back into its indices.

Each step may be repeated, and done by two processes at once.
"""

import logging
import re
from collections.abc import Callable, Iterator, Mapping

from redis import Redis

from batchpool.ledger import keys
from batchpool.ledger.broken import Broken, BrokenDatum, broken_id, is_count
from batchpool.ledger.connection import Commands
from batchpool.ledger.scripts import LuaScript

LOG = logging.getLogger("batchpool.reconciler")

MOST_AT_ONCE = 1000
SCAN_COUNT = 10_000

_ZSETS = (keys.JOBS, keys.FINISHED, keys.DEADLINES, keys.COMPARISONS, keys.COMPARING)
_OF_BATCHES = (keys.WAITING, keys.PARKED, keys.LEASES)
_TYPES: dict[str, str] = {
    keys.BROKEN: "hash",
    keys.BROKEN_NEW: "list",
    keys.SAMPLES: "list",
    **dict.fromkeys((*_ZSETS, *_OF_BATCHES), "zset"),
    keys.WORKERS: "set",
    keys.BULK: "set",
    **dict.fromkeys((keys.CLASSES, keys.COUNTS, keys.RESERVED, keys.LEADER, keys.CLOCK), "hash"),
}
_PART_TYPES = {
    "": "hash",
    "items": "hash",
    "events": "stream",
    "end": "stream",
    "bits": "string",
    "heads": "list",
    "blocks": "list",
    "reduced": "hash",
    "samples": "list",
    "slots": "hash",
    "analysis": "string",
}
_REPLACEABLE = ("events", "end")
"""What is said besides the data of a job: a new one does as well."""

_BATCH = re.compile(rb"[0-9]+(:|$)")


class Quarantine:
    """What the reconciler does about broken data.

    Args:
        is_readable: whether the job or comparison of a key can be read and shown.
        lease_s: for running batches that are in no index.
    """

    def __init__(
        self, redis: Redis, is_readable: Callable[[BrokenDatum], bool], lease_s: float
    ) -> None:
        self._redis: Commands = redis
        self._broken = Broken(redis)
        self._is_readable = is_readable
        self._lease_ms = int(lease_s * 1000)
        self._rebuild = LuaScript(redis, "rebuild")

    def run(self, types: Mapping[str, str]) -> None:
        """Move what was found broken since the last call.

        Args:
            types: further keys and the types that they must have.
        """
        changed = self._check_types({**_TYPES, **types}) + self._check_counts()
        for raw, datum in self._broken.new(MOST_AT_ONCE):
            if datum is not None:
                self.move(datum)
            self._broken.done(raw)
            changed += 1
        if changed:
            back = self.rebuild()
            LOG.warning("%d broken data moved; %d batches put back into indices", changed, back)

    def move(self, datum: BrokenDatum) -> None:
        """Move one datum out of the way, unless it is readable now."""
        if datum.kind == "member":
            self._take_out(datum)
        elif datum.kind == "key":
            self._move_slots(datum.key)
        elif datum.kind in ("job", "comparison"):
            self._move_whole(datum)

    def remove(self, datum: BrokenDatum) -> None:
        """Delete a datum for good."""
        for raw, waiting in self._broken.new(MOST_AT_ONCE):
            if waiting == datum:
                self.move(datum)
                self._broken.done(raw)
        if datum.kind == "block":
            self._empty_block(datum)
        if datum.key.startswith(keys.ONCE):
            # Left where it was till now: its key must not be taken as unused.
            self._redis.unlink(datum.key)
        for key in self._keys_below(datum.aside.encode()):
            self._redis.unlink(key)
        self._broken.forget(datum.id)

    def _empty_block(self, datum: BrokenDatum) -> None:
        # Not taken out: blocks and their headers are found by their places.
        match self._redis.type(datum.key):
            case b"list":
                self._redis.lset(datum.key, int(datum.name), b"")
            case b"hash":
                self._redis.hset(datum.key, datum.name, b"")

    def rebuild(self) -> int:
        """Index and count all jobs anew; returns how many batches were in no index."""
        jobs = [key for key in self._scan(keys.PREFIX.encode()) if _is_whole(key, keys.PREFIX)]
        for key in self._scan(keys.COMPARISON.encode()):
            if _is_whole(key, keys.COMPARISON):
                self._index_comparison(key)
        return int(self._rebuild(keys.JOBS, [self._lease_ms, *jobs]))

    def _index_comparison(self, key: bytes) -> None:
        if self._redis.type(key) != b"hash":
            return
        state, submitted = self._redis.hmget(key, "state", "submitted_ms")
        if submitted and submitted.isdigit():
            self._redis.zadd(keys.COMPARISONS, {key: int(submitted)}, nx=True)
            if state in (b"queued", b"running"):
                self._redis.zadd(keys.COMPARING, {key: int(submitted)}, nx=True)

    def _check_types(self, types: Mapping[str, str]) -> int:
        with self._redis.pipeline(transaction=False) as pipe:
            for key in types:
                pipe.type(key)
            found = [kind.decode() for kind in pipe.execute()]
        wrong = [
            (key, f"it is a {kind}, not a {types[key]}")
            for key, kind in zip(types, found, strict=True)
            if kind not in ("none", types[key])
        ]
        for key, reason in wrong:
            self._move_key(key.encode(), reason)
        return len(wrong)

    def _move_key(self, key: bytes, reason: str) -> None:
        # Renamed first: the list of broken things may be the broken one.
        text = key.decode("latin-1")
        aside = BrokenDatum(_key_id(text), "key", text, "", reason, 0).aside
        self._redis.rename(key, aside)
        self._broken.note("key", text, b"", reason, is_moved=True)

    def _move_slots(self, key: str) -> None:
        if self._redis.type(key) not in (b"hash", b"none"):
            self._move_key(key.encode(), "its type is wrong")

    def _check_counts(self) -> int:
        wrong = [
            (key, name)
            for key in (keys.COUNTS, keys.RESERVED)
            for name, value in self._redis.hgetall(key).items()
            if not is_count(name, value)
        ]
        for key, name in wrong:
            self._redis.hdel(key, name)
            self._broken.note("member", key, name, "it is no count", is_moved=True)
        return len(wrong)

    def _take_out(self, datum: BrokenDatum) -> None:
        key, name = datum.key, datum.raw_name
        if self._is_readable(datum):
            return
        match self._redis.type(key):
            case b"zset":
                self._redis.zrem(key, name)
            case b"set":
                self._redis.srem(key, name)
                if key == keys.WORKERS:
                    self._redis.unlink(keys.WORKER.encode() + name)
            case b"hash":
                self._redis.hdel(key, name)
            case b"list":
                self._redis.lrem(key, 0, name)

    def _move_whole(self, datum: BrokenDatum) -> None:
        prefix = datum.key.encode()
        found = list(self._keys_below(prefix))
        wrong = {key for key in found if self._has_wrong_type(key, prefix)}
        minor = {key for key in wrong if _part(key, prefix) in _REPLACEABLE}
        for key in minor:
            self._move_key(key, "its type is wrong")
        if wrong == minor and self._is_readable(datum):
            if not minor:
                LOG.info("%s can be read after all", datum.key)
            self._broken.forget(datum.id)
            return
        for key in found:
            if key not in minor:
                self._redis.rename(key, datum.aside.encode() + key.removeprefix(prefix))
        for index in _ZSETS:
            self._redis.zrem(index, prefix)
        for index in _OF_BATCHES:
            members = [each for each, _ in self._redis.zscan_iter(index, datum.key + "|*")]
            if members:
                self._redis.zrem(index, *members)

    def _has_wrong_type(self, key: bytes, prefix: bytes) -> bool:
        kind = self._redis.type(key).decode()
        return bool(kind != _PART_TYPES.get(_part(key, prefix), kind))

    def _keys_below(self, prefix: bytes) -> Iterator[bytes]:
        for key in self._scan(prefix):
            if key == prefix or key.startswith(prefix + b":"):
                yield key

    def _scan(self, prefix: bytes) -> Iterator[bytes]:
        found: set[bytes] = set(self._redis.scan_iter(prefix + b"*", count=SCAN_COUNT))
        return iter(found)


def _part(key: bytes, prefix: bytes) -> str:
    """The part of a job or comparison that a key is, '' for a hash."""
    rest = key.removeprefix(prefix).removeprefix(b":")
    return _BATCH.sub(b"", rest, count=1).decode("latin-1")


def _is_whole(key: bytes, prefix: str) -> bool:
    return b":" not in key.removeprefix(prefix.encode()) and key != keys.LEADER.encode()


def _key_id(key: str) -> str:
    return broken_id("key", key, b"")

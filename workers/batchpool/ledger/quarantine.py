"""Moves broken data out of the way, and puts what is whole back into its indices.

Each step may be repeated, and done by two processes at once.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest

import msgpack
from redis import Redis
from redis.exceptions import ResponseError

from batchpool.ledger import keys
from batchpool.ledger.blocks.bitmap import bit_segments
from batchpool.ledger.blocks.record_codec import RecordColumns
from batchpool.ledger.broken import (
    UNPARSABLE,
    Broken,
    BrokenDatum,
    broken_id,
    is_about_data,
    is_count,
)
from batchpool.ledger.connection import Commands
from batchpool.ledger.scripts import LuaScript
from batchpool.model import TaskError

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
_REPLACEABLE = ("events", "end")
"""What is said besides the data of a job: a new one does as well."""
_OF_RECORDS = ("bits", "heads", "blocks", "reduced")
"""What a batch has of its records: without it the batch cannot go on, but its job can be read."""


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
        self._break = LuaScript(redis, "break")

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
            self._move_single(datum.key)
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
            self._move_key(key, reason)
        return len(wrong)

    def _move_key(self, key: str, reason: str) -> None:
        # Renamed first: the list of broken things may be the broken one.
        aside = BrokenDatum(_key_id(key), "key", key, "", reason, 0).aside
        if self._put_aside(key, aside):
            self._broken.note("key", key, b"", reason, is_moved=True)

    def _put_aside(self, key: str, aside: str) -> bool:
        """Rename a key; False if it has gone: another reconciler, or the API, moves the same."""
        try:
            self._redis.rename(key.encode("latin-1"), aside)
        except ResponseError as refusal:
            if "no such key" not in str(refusal):
                raise
            return False
        return True

    def _move_single(self, key: str) -> None:
        right = b"string" if key.startswith(keys.RATE) else b"hash"
        if self._redis.type(key) not in (right, b"none"):
            self._move_key(key, "its type is wrong")

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
        job = datum.key
        found = [key.decode("latin-1") for key in self._keys_below(job.encode())]
        wrong = self._broken.wrong_types(found, job)
        alone = self._move_alone(job, wrong)
        if wrong.keys() == alone and self._is_readable(datum):
            if not alone:
                LOG.info("%s can be read after all", job)
            self._broken.forget(datum.id)
            return
        for key in found:
            if key not in alone:
                self._put_aside(key, datum.aside + key.removeprefix(job))
        for index in _ZSETS:
            self._redis.zrem(index, job)
        for index in _OF_BATCHES:
            members = [each for each, _ in self._redis.zscan_iter(index, job + "|*")]
            if members:
                self._redis.zrem(index, *members)

    def _move_alone(self, job: str, wrong: Mapping[str, str]) -> set[str]:
        """Move those keys of a wrong type without which the job can be read; returns them."""
        parts = {key: keys.part_of(key, job) for key in wrong}
        alone = {key for key in wrong if parts[key] in _REPLACEABLE}
        of_records = {key for key in wrong if parts[key] in _OF_RECORDS}
        if self._end_batches(job, {key: wrong[key] for key in of_records}):
            alone |= of_records
        for key in alone:
            self._move_key(key, wrong[key])
            if parts[key] == "bits":
                self._restore_bitmap(key)
        return alone

    def _end_batches(self, job: str, wrong: Mapping[str, str]) -> bool:
        """End the batches that cannot go on; False if the job lets none of them end."""
        if not wrong:
            return True
        what = "; ".join(f"{key}: {reason}" for key, reason in wrong.items())
        error = TaskError(type="internal", message=f"broken data: {what}", traceback=None)
        batches = {keys.batch_of(key, job) for key in wrong}
        try:
            self._break(job, [json.dumps(error), *sorted(n for n in batches if n is not None)])
        except ResponseError as refusal:
            if not is_about_data(refusal):
                raise
            return False
        return True

    def _restore_bitmap(self, key: str) -> None:
        """Make the bitmap of an ended batch anew, from its blocks."""
        batch = key.removesuffix(":bits")
        blocks = batch + ":blocks"
        if self._redis.type(blocks) != b"list":
            return
        first = int(self._redis.hget(batch, "first"))
        for at in range(self._redis.llen(blocks)):
            try:
                indices = RecordColumns(self._redis.lindex(blocks, at), "").indices
            except (*UNPARSABLE, msgpack.UnpackException):
                continue
            for offset, piece in bit_segments([index - first for index in indices]):
                old = self._redis.getrange(key, offset, offset + len(piece) - 1)
                merged = (a | b for a, b in zip_longest(piece, old, fillvalue=0))
                self._redis.setrange(key, offset, bytes(merged))
        left_ms = self._redis.pttl(batch)
        if left_ms > 0:
            self._redis.pexpire(key, left_ms)

    def _keys_below(self, prefix: bytes) -> Iterator[bytes]:
        for key in self._scan(prefix):
            if key == prefix or key.startswith(prefix + b":"):
                yield key

    def _scan(self, prefix: bytes) -> Iterator[bytes]:
        found: set[bytes] = set(self._redis.scan_iter(prefix + b"*", count=SCAN_COUNT))
        return iter(found)


def _is_whole(key: bytes, prefix: str) -> bool:
    return b":" not in key.removeprefix(prefix.encode()) and key != keys.LEADER.encode()


def _key_id(key: str) -> str:
    return broken_id("key", key, b"")

"""Live workers, and the capabilities of each class of workers."""

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from redis import Redis

from batchpool.ledger import keys
from batchpool.ledger.broken import UNPARSABLE, Broken
from batchpool.ledger.connection import Commands
from batchpool.ledger.values.announcements import LiveWorker, WorkerCapabilities
from batchpool.ledger.values.load_samples import LoadSample

SAMPLE_EVERY_S = 5.0
MOST_SAMPLES = 180
SAMPLES_TTL_S = 2 * int(MOST_SAMPLES * SAMPLE_EVERY_S)


# Announcements are read twice a second and change seldom; to check one takes a millisecond.
@lru_cache(2048)
def _parse_worker(raw: bytes) -> LiveWorker:
    return LiveWorker.from_json(json.loads(raw)).checked()


@lru_cache(64)
def _parse_class(raw: bytes) -> WorkerCapabilities:
    return WorkerCapabilities.from_json(json.loads(raw)).checked()


class Presence:
    """Workers announce themselves with a time to live; their class is remembered for days."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Commands = redis
        self._broken = Broken(redis)

    def announce(self, worker: LiveWorker, ttl_s: int) -> bool:
        """Make a worker known as live for `ttl_s`; returns whether its class is known."""
        with self._redis.pipeline() as pipe:
            pipe.sadd(keys.WORKERS, worker.name)
            pipe.set(keys.WORKER + worker.name, json.dumps(worker.to_json()), ex=ttl_s)
            pipe.hexists(keys.CLASSES, keys.base_class(worker.class_id))
            return bool(pipe.execute()[-1])

    def check_writable(self) -> None:
        """Check that workers can announce themselves; a full or read-only Redis refuses them.

        Raises:
            RedisError: they cannot.
        """
        self._redis.set(keys.PROBE, "", px=1)

    def leave(self, name: str) -> None:
        with self._redis.pipeline() as pipe:
            pipe.delete(keys.WORKER + name)
            pipe.srem(keys.WORKERS, name)
            pipe.execute()

    def workers(self) -> list[LiveWorker]:
        """The live workers, by name."""
        names = sorted(self._redis.smembers(keys.WORKERS))
        values = self._redis.mget([keys.WORKER.encode() + name for name in names]) if names else []
        found = []
        for name, value in zip(names, values, strict=True):
            try:
                if value:
                    found.append(_parse_worker(value))
            except UNPARSABLE as error:
                self._broken.note_error("member", keys.WORKERS, name, error)
        return found

    def forget_workers(self) -> int:
        """Drop the names of workers that are no longer live; return how many."""
        live = {worker.name.encode() for worker in self.workers()}
        gone = self._redis.smembers(keys.WORKERS) - live
        return int(self._redis.srem(keys.WORKERS, *gone)) if gone else 0

    def announce_class(self, capabilities: WorkerCapabilities) -> None:
        """Store the capabilities of a class of workers, as seen now."""
        seconds, micros = self._redis.time()
        seen = replace(capabilities, seen_ms=int(seconds) * 1000 + int(micros) // 1000)
        self._redis.hset(keys.CLASSES, seen.id, json.dumps(seen.to_json()))

    def classes(self) -> list[WorkerCapabilities]:
        """The capabilities of each known class of workers, by id."""
        found = self._redis.hgetall(keys.CLASSES)
        classes = []
        for name, raw in sorted(found.items()):
            try:
                classes.append(_parse_class(raw))
            except UNPARSABLE as error:
                self._broken.note_error("member", keys.CLASSES, name, error)
        return classes

    def forget_unused_classes(self, class_ids: Iterable[str]) -> None:
        """Drop those of the classes that no live worker is of."""
        used = {keys.base_class(worker.class_id) for worker in self.workers()}
        if gone := set(class_ids) - used:
            self._redis.hdel(keys.CLASSES, *gone)

    def forget_classes(self, before_ms: int) -> None:
        """Drop the classes that were last seen before `before_ms` of Redis' clock."""
        for known in self.classes():
            if known.seen_ms < before_ms:
                self._redis.hdel(keys.CLASSES, known.id)

    def add_sample(self, sample: LoadSample) -> None:
        """Store a sample of the load, unless another reconciler has just done it."""
        newest = self._sample(self._redis.lindex(keys.SAMPLES, 0))
        if newest and 0 <= sample.at_ms - newest.at_ms < SAMPLE_EVERY_S * 500:
            return
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.lpush(keys.SAMPLES, json.dumps(sample.to_json()))
            pipe.ltrim(keys.SAMPLES, 0, MOST_SAMPLES - 1)
            pipe.expire(keys.SAMPLES, SAMPLES_TTL_S)
            pipe.execute()

    def samples(self) -> list[LoadSample]:
        """The samples that are kept, the oldest first."""
        found = map(self._sample, reversed(self._redis.lrange(keys.SAMPLES, 0, -1)))
        return [sample for sample in found if sample]

    def _sample(self, raw: bytes | None) -> LoadSample | None:
        try:
            return LoadSample.from_json(json.loads(raw)).checked() if raw else None
        except UNPARSABLE as error:
            # It is pushed out by itself.
            self._broken.note(
                "member", keys.SAMPLES, b"", f"{type(error).__name__}: {error}", is_moved=True
            )
            return None

"""Who is there: live workers, and what each class of workers can run."""

import json
from typing import Any

from redis import Redis

from batchpool.ledger import keys
from batchpool.ledger.connection import Commands


class Presence:
    """Workers announce themselves with a time to live; their class is remembered for days."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Commands = redis

    def announce(self, worker: dict[str, Any], ttl_s: int) -> None:
        with self._redis.pipeline() as pipe:
            pipe.sadd(keys.WORKERS, worker["name"])
            pipe.set(keys.WORKER + worker["name"], json.dumps(worker), ex=ttl_s)
            pipe.execute()

    def leave(self, name: str) -> None:
        with self._redis.pipeline() as pipe:
            pipe.delete(keys.WORKER + name)
            pipe.srem(keys.WORKERS, name)
            pipe.execute()

    def workers(self) -> list[dict[str, Any]]:
        names = sorted(self._redis.smembers(keys.WORKERS))
        values = self._redis.mget([keys.WORKER.encode() + name for name in names]) if names else []
        return [json.loads(value) for value in values if value]

    def forget_workers(self) -> int:
        """Drop the names of workers that are silent; how many."""
        live = {worker["name"].encode() for worker in self.workers()}
        gone = self._redis.smembers(keys.WORKERS) - live
        return int(self._redis.srem(keys.WORKERS, *gone)) if gone else 0

    def announce_class(self, document: dict[str, Any]) -> None:
        seconds, micros = self._redis.time()
        seen = {"seen_ms": int(seconds) * 1000 + int(micros) // 1000}
        self._redis.hset(keys.CLASSES, document["id"], json.dumps(document | seen))

    def classes(self) -> list[dict[str, Any]]:
        found = self._redis.hgetall(keys.CLASSES)
        return [json.loads(document) for _, document in sorted(found.items())]

    def forget_classes(self, before_ms: int) -> None:
        """Drop the classes that were last seen before `before_ms` of Redis' clock."""
        for document in self.classes():
            if document["seen_ms"] < before_ms:
                self._redis.hdel(keys.CLASSES, document["id"])

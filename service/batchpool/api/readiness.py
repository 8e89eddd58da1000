"""Readiness: whether Redis accepts jobs and keeps them safely, and whether workers were seen."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from batchpool.ledger import keys
from batchpool.ledger.announcements import LiveWorker

LEAST_VERSION = (6, 2)


@dataclass(frozen=True)
class Readiness:
    """The result of the check; without `reasons`, jobs are accepted."""

    reasons: list[str] = field(default_factory=list)
    durability: str = "unknown"
    redis: dict[str, Any] = field(default_factory=dict)
    workers: int = 0
    classes: int = 0

    @property
    def ready(self) -> bool:
        return not self.reasons

    def show(self) -> dict[str, Any]:
        return {
            "status": "ready" if self.ready else "unavailable",
            "reasons": self.reasons,
            "durability": self.durability,
            "redis": self.redis,
            "workers": {"live": self.workers, "classes": self.classes},
        }


def check(redis: Redis) -> Readiness:
    """Check Redis in one round trip; an outage is a result, not an error."""
    try:
        with redis.pipeline(transaction=False) as pipe:
            pipe.info("server")
            pipe.info("replication")
            pipe.info("persistence")
            pipe.info("memory")
            pipe.config_get("appendfsync")
            pipe.hlen(keys.CLASSES)
            pipe.smembers(keys.WORKERS)
            answers = pipe.execute(raise_on_error=False)
        return evaluate(answers, _count_live(redis, answers[-1]))
    except RedisError as error:
        return Readiness([_why_silent(error)])


def _count_live(redis: Redis, names: Any) -> int:
    if not isinstance(names, set) or not names:
        return 0
    values = redis.mget([keys.WORKER.encode() + name for name in names])
    workers = [LiveWorker.from_json(json.loads(value)) for value in values if value]
    return sum(worker.state != "draining" for worker in workers)


def evaluate(answers: Sequence[Any], live: int) -> Readiness:
    """Evaluate the answers of a reachable Redis.

    Args:
        answers: INFO server, replication, persistence, memory; CONFIG GET appendfsync; the number
            of classes; the names of workers. An error in place of an answer is one that Redis gave.
    """
    refused = next((found for found in answers[:4] if isinstance(found, Exception)), None)
    if refused is not None:
        return Readiness([_why_silent(refused)])
    server, replication, persistence, memory, fsync, classes = answers[:6]
    classes = classes if isinstance(classes, int) else 0
    info: dict[str, Any] = {**server, **replication, **persistence, **memory}
    reasons = list(_faults(info))
    if not classes:
        reasons.append("no worker has been seen yet; start one")
    return Readiness(
        reasons=reasons,
        durability=_durability(info, fsync),
        redis={
            "version": _version(info),
            "role": str(info.get("role")),
            "maxmemory_policy": str(info.get("maxmemory_policy")),
            "used_memory_bytes": info.get("used_memory"),
            "maxmemory_bytes": info.get("maxmemory"),
        },
        workers=live,
        classes=classes,
    )


def _faults(info: Mapping[str, Any]) -> Sequence[str]:
    found = []
    version = _version(info)
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < LEAST_VERSION:
        found.append(f"Redis must be 6.2 or later, got {version}")
    if info.get("role") != "master":
        found.append(f"Redis is a {info.get('role')}, so read-only; connect to its primary")
    if info.get("loading"):
        found.append("Redis is still loading its data")
    if not info.get("aof_enabled"):
        found.append("Redis keeps no append-only file; set appendonly yes, appendfsync always")
    elif info.get("aof_last_write_status") not in (None, "ok"):
        found.append("Redis cannot write its append-only file; look at its disk")
    policy = info.get("maxmemory_policy")
    if policy != "noeviction":
        found.append(f"Redis evicts keys when full (maxmemory-policy {policy}); set noeviction")
    return found


def _version(info: Mapping[str, Any]) -> str:
    # Valkey calls itself Redis 7.2.4 for old clients, and has its own number beside it.
    return str(info.get("redis_version", "0"))


def _durability(info: Mapping[str, Any], fsync: Any) -> str:
    if not info.get("aof_enabled"):
        return "none"
    setting = fsync.get("appendfsync") if isinstance(fsync, dict) else None
    return "strong" if setting in ("always", b"always") else "weak"


def _why_silent(error: Exception) -> str:
    text = _first_line(error)
    # Not by its class: redis-py raises different ones, depending on when the server refuses.
    if any(word in text for word in ("NOAUTH", "WRONGPASS", "authenticat", "password")):
        return f"Redis wants a password; put the right one into REDIS_URL ({text})"
    if isinstance(error, ResponseError):
        return f"Redis refuses to answer: {text}"
    return f"Redis does not answer: {text}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]

"""Readiness: whether Redis accepts jobs and keeps them safely, and whether workers were seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from batchpool.json_value import JsonObject
from batchpool.ledger import keys
from batchpool.ledger.presence import Presence

LEAST_VERSION = (6, 2)


@dataclass(frozen=True)
class Readiness:
    """The result of the check.

    Args:
        reasons: why jobs are not accepted; empty if they are.
        idle_reasons: why accepted jobs do not run.
    """

    reasons: list[str] = field(default_factory=list)
    idle_reasons: list[str] = field(default_factory=list)
    durability: str = "unknown"
    redis: JsonObject = field(default_factory=dict)
    workers: int = 0
    classes: int = 0

    @property
    def ready(self) -> bool:
        return not self.reasons

    def show(self) -> JsonObject:
        return {
            "status": "ready" if self.ready else "unavailable",
            "reasons": self.reasons,
            "accepting": {"ok": self.ready, "reasons": self.reasons},
            "running": {"ok": not self.idle_reasons, "reasons": self.idle_reasons},
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
            # No such script: that is the answer where scripts may be run.
            pipe.evalsha("0" * 40, 0)
            answers = pipe.execute(raise_on_error=False)
            live = sum(each.state != "draining" for each in Presence(redis).workers())
        return evaluate(answers, live)
    except RedisError as error:
        return _silent(error)


def _silent(error: Exception) -> Readiness:
    why = _why_silent(error)
    return Readiness([why], [why])


def evaluate(answers: Sequence[Any], live: int) -> Readiness:
    """Evaluate the answers of a reachable Redis.

    Args:
        answers: INFO server, replication, persistence, memory; CONFIG GET appendfsync; the number
            of classes; EVALSHA of an unknown script. An error in place of an answer is one that
            Redis gave.
    """
    refused = next((found for found in answers[:4] if isinstance(found, Exception)), None)
    if refused is not None:
        return _silent(refused)
    server, replication, persistence, memory, fsync, classes, script = answers
    classes = classes if isinstance(classes, int) else 0
    info = RedisInfo.from_sections(server, replication, persistence, memory)
    faults = [*_faults(info), *_faults_of_scripts(script)]
    no_worker = [] if live else ["no worker is live; start one"]
    unseen = [] if classes else ["no worker has been seen yet; start one"]
    return Readiness(
        reasons=faults + unseen,
        idle_reasons=faults + no_worker,
        durability=_durability(info, fsync),
        redis={
            "version": info.version,
            "role": info.role,
            "maxmemory_policy": info.maxmemory_policy,
            "used_memory_bytes": info.used_memory,
            "maxmemory_bytes": info.maxmemory,
        },
        workers=live,
        classes=classes,
    )


@dataclass(frozen=True)
class RedisInfo:
    """The fields of INFO that decide about readiness; None where the server does not have one."""

    version: str
    role: str
    is_loading: bool
    has_append_only_file: bool
    last_write_status: str | None
    maxmemory_policy: str
    used_memory: int | None
    maxmemory: int | None

    @property
    def is_full(self) -> bool:
        return bool(self.maxmemory) and (self.used_memory or 0) >= (self.maxmemory or 0)

    @classmethod
    def from_sections(cls, *sections: Mapping[str, Any]) -> "RedisInfo":
        """Read the sections of INFO."""
        info = {name: value for section in sections for name, value in section.items()}
        return cls(
            # Valkey calls itself Redis 7.2.4 for old clients, and has its own number beside it.
            version=str(info.get("redis_version", "0")),
            role=str(info.get("role")),
            is_loading=bool(info.get("loading")),
            has_append_only_file=bool(info.get("aof_enabled")),
            last_write_status=info.get("aof_last_write_status"),
            maxmemory_policy=str(info.get("maxmemory_policy")),
            used_memory=info.get("used_memory"),
            maxmemory=info.get("maxmemory"),
        )


def _faults(info: RedisInfo) -> Sequence[str]:
    found = []
    version = tuple(int(part) for part in info.version.split(".")[:2] if part.isdigit())
    if version < LEAST_VERSION:
        found.append(f"Redis must be 6.2 or later, got {info.version}")
    if info.role != "master":
        found.append(f"Redis is a {info.role}, so read-only; connect to its primary")
    if info.is_loading:
        found.append("Redis is still loading its data")
    if not info.has_append_only_file:
        found.append("Redis keeps no append-only file; set appendonly yes, appendfsync always")
    elif info.last_write_status not in (None, "ok"):
        found.append("Redis cannot write its append-only file; look at its disk")
    if info.is_full:
        found.append("Redis is full (maxmemory is reached); delete jobs, or raise it")
    policy = info.maxmemory_policy
    if policy != "noeviction":
        found.append(f"Redis evicts keys when full (maxmemory-policy {policy}); set noeviction")
    return found


def _faults_of_scripts(answer: Any) -> list[str]:
    if isinstance(answer, NoScriptError):
        return []
    return [f"Redis does not run our scripts; its user needs EVALSHA and SCRIPT ({answer})"]


def _durability(info: RedisInfo, fsync: Any) -> str:
    if not info.has_append_only_file:
        return "none"
    setting = fsync.get("appendfsync") if isinstance(fsync, dict) else None
    return "strong" if setting in ("always", b"always") else "weak"


def _why_silent(error: Exception) -> str:
    text = _first_line(error)
    # Not by class: which one redis-py raises depends on when the server refuses.
    if any(word in text for word in ("NOAUTH", "WRONGPASS", "authenticat", "password")):
        return f"Redis wants a password; put the right one into REDIS_URL ({text})"
    if isinstance(error, ResponseError):
        return f"Redis refuses to answer: {text}"
    return f"Redis does not answer: {text}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]

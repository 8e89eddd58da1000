"""What makes /readyz red."""

from typing import Any

import pytest
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    NoScriptError,
    ResponseError,
)

from batchpool.api.readiness import evaluate

GOOD: list[Any] = [
    {"redis_version": "7.2.4"},
    {"role": "master"},
    {"aof_enabled": 1, "loading": 0, "aof_last_write_status": "ok"},
    {"maxmemory_policy": "noeviction", "maxmemory": 0, "used_memory": 1},
    {"appendfsync": "always"},
    1,
    NoScriptError("NOSCRIPT No matching script."),
]


def _with(at: int, change: Any) -> list[Any]:
    answers = list(GOOD)
    answers[at] = answers[at] | change if isinstance(change, dict) else change
    return answers


def test_a_safe_redis_with_a_known_class_of_workers_is_ready() -> None:
    found = evaluate(GOOD, 1)
    assert found.ready
    assert found.durability == "strong"
    assert found.show()["workers"] == {"live": 1, "classes": 1}


@pytest.mark.parametrize(
    ("at", "change", "says"),
    [
        (0, {"redis_version": "6.0.16"}, "must be 6.2 or later"),
        (1, {"role": "slave"}, "read-only"),
        (2, {"aof_enabled": 0}, "appendonly yes"),
        (2, {"loading": 1}, "still loading"),
        (2, {"aof_last_write_status": "err"}, "its disk"),
        (3, {"maxmemory_policy": "allkeys-lru"}, "set noeviction"),
        (0, AuthenticationError("NOAUTH Authentication required."), "wants a password"),
        (3, {"maxmemory": 100, "used_memory": 100}, "Redis is full"),
        (6, NoPermissionError("NOPERM this user has no permissions"), "EVALSHA"),
        (5, 0, "no worker has been seen yet"),
    ],
)
def test_what_is_unsafe_is_red_with_the_reason(at: int, change: Any, says: str) -> None:
    found = evaluate(_with(at, change), 0)
    assert not found.ready
    assert says in "; ".join(found.reasons)
    shown = found.show()
    assert shown["accepting"] == {"ok": False, "reasons": found.reasons}
    assert not shown["running"]["ok"]


def test_jobs_are_accepted_and_not_run_while_no_worker_is_live() -> None:
    shown = evaluate(GOOD, 0).show()
    assert (shown["status"], shown["accepting"]["ok"]) == ("ready", True)
    assert shown["running"] == {"ok": False, "reasons": ["no worker is live; start one"]}


@pytest.mark.parametrize(
    "fsync", [{"appendfsync": "everysec"}, ResponseError("unknown command 'CONFIG'")]
)
def test_a_redis_that_does_not_sync_each_write_is_ready_and_weak(fsync: Any) -> None:
    found = evaluate([*GOOD[:4], fsync, *GOOD[5:]], 1)
    assert found.ready
    assert found.durability == "weak"


def test_without_an_append_only_file_there_is_no_durability() -> None:
    assert evaluate(_with(2, {"aof_enabled": 0}), 1).durability == "none"

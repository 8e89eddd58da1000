"""The budgets of a rate in Redis: the tokens of all jobs of a task are apart."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from redis import Redis

from batchpool.ledger.scripts import LuaScript
from batchpool.rates import pace_of
from batchpool.reconciler.reconciler import Reconciler
from batchpool.runner.rate_budget import RateBudget, RedisClock
from batchpool.settings import ReconcilerSettings

TASK: Any = SimpleNamespace(name="x", rate=None)


def test_tokens_of_jobs_with_rates_of_their_own_are_apart_too(redis: Redis) -> None:
    """Three jobs lease as much as they get, some of them at lower rates."""
    script, declared = LuaScript(redis, "rate"), pace_of("40/s").spacing_s * 1e6
    found: dict[str, list[float]] = {"40/s": [], "30/s": [], "7/s": []}
    for rate in [*found] * 40:
        spacing, want = pace_of(rate).spacing_s * 1e6, 1 if rate == "40/s" else 10
        args: list[float | str] = [spacing, want, 1e6, 5e5]
        if rate != "40/s":
            args += ["bp:rate:x:40", declared]
        tokens, _, begin = script(f"bp:rate:x:{rate[:-2]}", args)
        found[rate] += [begin + at * spacing for at in range(tokens)]
    assert all(len(times) >= 2 for times in found.values())
    together = [at for times in found.values() for at in times]
    for times, spacing in (
        (together, declared),
        *((found[rate], pace_of(rate).spacing_s * 1e6) for rate in found),
    ):
        assert min(later - earlier for earlier, later in pairwise(sorted(times))) > spacing - 3


def test_the_clock_of_redis_is_known_by_the_fastest_answer() -> None:
    clock = RedisClock()
    clock.note(1.0, 1.5, 101.0)
    assert (clock.monotonic_at(200.0), clock.unsure_s) == (pytest.approx(100.5), 0.5)
    clock.note(2.0, 2.01, 102.0)
    assert (clock.monotonic_at(200.0), clock.unsure_s) == (
        pytest.approx(100.01),
        pytest.approx(0.01),
    )
    clock.note(3.0, 3.4, 103.1)
    assert clock.unsure_s == pytest.approx(0.01)
    # It was set back.
    clock.note(4.0, 4.2, 50.0)
    assert clock.unsure_s == pytest.approx(0.2)
    # The bounds are old.
    clock.note(20.0, 20.9, 66.0)
    assert clock.unsure_s == pytest.approx(0.9)


def test_a_budget_of_the_wrong_type_is_listed_moved_and_made_anew(stage: Any, redis: Redis) -> None:
    reconciler = Reconciler(redis, ReconcilerSettings.from_env({}))
    for make in (redis.rpush, redis.sadd, lambda key, _: redis.hset(key, "a", "b")):
        budget = RateBudget(redis, TASK, "5/s")
        (key,) = budget._keys
        redis.delete(key)
        make(key, "junk")
        for _ in range(2):
            assert budget.lease(1).tokens == 0
        reconciler.run_pass()
        assert budget.lease(1).tokens == 1
        (listed,) = stage.get("/v1/broken")["broken"]
        assert listed["key"] == key and "not a string" in listed["reason"]
        assert stage.http.delete(f"/v1/broken/{listed['id']}").status_code == 204

"""Steps of Redis' clock: what ends early, what moves along, and who decides it."""

from typing import Any

import pytest
from redis import Redis

from batchpool.ledger import keys
from batchpool.ledger.connection import TemporarilyRefused
from batchpool.ledger.ownership import Claim, Ending, Ownership
from batchpool.ledger.recovery import Recovery
from batchpool.reconciler.clock_step import ClockWatch
from batchpool.reconciler.reconciler import Reconciler
from batchpool.settings import ReconcilerSettings
from tests.integration.test_ledger import OWNER, claim, create

HOUR_MS = 3_600_000
JOB = keys.job_key("j")
SETTINGS = ReconcilerSettings.from_env({})


def step(redis: Redis, step_ms: int) -> None:
    """What was written before a step of the clock: its times are as far off."""
    for field in ("deadline_ms", "queue_deadline_ms", "started_ms", "submitted_ms"):
        if redis.hexists(JOB, field):
            redis.hincrby(JOB, field, -step_ms)
    for index in (keys.DEADLINES, keys.LEASES, keys.WAITING, keys.PARKED):
        for member in redis.zrange(index, 0, -1):
            redis.zincrby(index, -step_ms, member)


class Stepped(Reconciler):
    """A reconciler that believes that Redis' clock was moved by `step_ms` since its last pass."""

    step_ms = 0

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis, SETTINGS)
        recovery = Recovery(redis)

        def read() -> Any:
            reading = recovery.read_clock()
            return reading._replace(now_ms=reading.now_ms + self.step_ms)

        self._clock_watch = ClockWatch(read, SETTINGS.lease_s)


def states(redis: Redis, jobs: Any) -> list[str]:
    job = jobs.load("j")
    assert job
    return [batch.state for batch in job.batches]


def test_no_claim_and_no_release_ends_a_batch_right_after_a_step(redis: Redis) -> None:
    jobs = create(redis, ranges=[(0, 2), (2, 2)])
    owned, ledger = claim(redis), Ownership(redis)
    step(redis, HOUR_MS)
    redis.rpush("popped", "message")
    taken = [["LREM", "popped", "0", "message"]]
    assert ledger.claim("j", 1, OWNER, unqueueing=taken) == "overdue"
    # No worker meets it again before the reconciler has had a look.
    assert not redis.exists("popped")
    assert ledger.release(owned)
    assert states(redis, jobs) == ["queued", "queued"]
    # Once the deadlines have followed it is run.
    assert Recovery(redis).shift(HOUR_MS, 1, 8.0, None)
    assert isinstance(ledger.claim("j", 1, OWNER), Claim)


def test_a_worker_goes_on_with_its_batch_right_after_a_step(redis: Redis) -> None:
    jobs = create(redis)
    owned = claim(redis)
    step(redis, HOUR_MS)
    assert isinstance(Ownership(redis).claim("j", 0, OWNER, owned, has_kept=True), Claim)
    assert states(redis, jobs) == ["running"]


def test_a_claim_that_comes_long_after_the_limit_leaves_the_end_to_the_reconciler(
    redis: Redis,
) -> None:
    jobs = create(redis, ranges=[(0, 2), (2, 2)])
    owned, ledger = claim(redis), Ownership(redis)
    redis.hset(JOB, "deadline_ms", 1)
    redis.zadd(keys.DEADLINES, {JOB: 1})
    assert ledger.claim("j", 1, OWNER) == "overdue"
    Recovery(redis).expire_deadlines()
    assert states(redis, jobs) == ["running", "failed"]
    assert ledger.end(owned, Ending("failed", {}, "timeout"))
    job = jobs.load("j")
    assert job and job.error and job.error["type"] == "timeout"


def test_a_step_within_a_pass_ends_nothing(redis: Redis) -> None:
    jobs = create(redis, ranges=[(0, 2), (2, 2)])
    claim(redis)
    recovery = Recovery(redis)
    until_ms = recovery.now_ms() - 1
    step(redis, HOUR_MS)
    assert recovery.expire_leases(until_ms=until_ms) == []
    recovery.expire_deadlines(until_ms=until_ms)
    assert states(redis, jobs) == ["running", "queued"]


def _first_pass(redis: Redis) -> Stepped:
    reconciler = Stepped(redis)
    reconciler.run_pass()
    return reconciler


def _deadline_ms(redis: Redis) -> int:
    (deadline,) = redis.hmget(JOB, "deadline_ms")
    assert deadline is not None
    return int(deadline)


def test_two_reconcilers_follow_each_step_once_however_late(redis: Redis) -> None:
    create(redis)
    claim(redis)
    before = _deadline_ms(redis)
    step(redis, 10 * HOUR_MS)
    first, second = _first_pass(redis), _first_pass(redis)
    for steps in (1, 2):
        # The same step again, seconds after the first one.
        first.step_ms = steps * HOUR_MS
        first.run_pass()
        assert _deadline_ms(redis) == pytest.approx(before + (steps - 10) * HOUR_MS, abs=100)
    # This one was away meanwhile, and as long as it likes.
    second.step_ms = 2 * HOUR_MS
    second.run_pass()
    assert _deadline_ms(redis) == pytest.approx(before - 8 * HOUR_MS, abs=100)


def test_a_step_is_followed_by_whoever_read_the_sum_last(redis: Redis) -> None:
    recovery = Recovery(redis)
    create(redis)
    assert recovery.read_clock().moved_ms is None
    assert recovery.shift(HOUR_MS, 1, 8.0, None)
    assert not recovery.shift(HOUR_MS, 1, 8.0, None)
    assert recovery.read_clock().moved_ms == HOUR_MS
    assert recovery.shift(-3 * HOUR_MS, 1, 8.0, HOUR_MS)
    assert recovery.read_clock().moved_ms == -2 * HOUR_MS
    redis.hset(keys.CLOCK, "moved", "much")
    assert recovery.read_clock().moved_ms is None
    assert recovery.shift(HOUR_MS, 1, 8.0, None)


def test_the_beginning_of_a_running_comparison_moves_along(redis: Redis) -> None:
    recovery = Recovery(redis)
    now_ms = recovery.now_ms()
    old, new, queued = (keys.comparison_key(name) for name in ("old", "new", "queued"))
    redis.hset(old, mapping={"state": "running", "started_ms": now_ms - 2 * HOUR_MS})
    redis.hset(new, mapping={"state": "running", "started_ms": now_ms})
    redis.hset(queued, "state", "queued")
    redis.zadd(keys.COMPARING, dict.fromkeys((old, new, queued, keys.comparison_key("gone")), 1))
    assert recovery.shift(HOUR_MS, 5000, 8.0, None)
    assert redis.hmget(old, "started_ms") == [b"%d" % (now_ms - HOUR_MS)]
    assert redis.hmget(new, "started_ms") == [b"%d" % now_ms]
    assert redis.hgetall(queued) == {b"state": b"queued"}


def test_a_step_that_redis_refused_to_follow_is_followed_later(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(redis)
    claim(redis)
    step(redis, 10 * HOUR_MS)
    reconciler = _first_pass(redis)
    before = _deadline_ms(redis)
    reconciler.step_ms = HOUR_MS

    def refuse(*_: Any) -> bool:
        raise TemporarilyRefused("MISCONF")

    with monkeypatch.context() as patch:
        patch.setattr(Recovery, "shift", refuse)
        with pytest.raises(TemporarilyRefused):
            reconciler.run_pass()
    reconciler.run_pass()
    assert _deadline_ms(redis) == pytest.approx(before + HOUR_MS, abs=100)


def test_a_step_of_less_than_ten_seconds_costs_no_owner_its_lease(redis: Redis) -> None:
    jobs = create(redis)
    owned = claim(redis)
    now_s = [1000.0]
    reconciler = Stepped(redis)
    reconciler._clock = lambda: now_s[0]
    for _ in range(int(SETTINGS.lease_s) + 2):
        reconciler.run_pass()
        now_s[0] += 1
    step(redis, 9000)
    reconciler.step_ms = 9000
    reconciler.run_pass()
    assert states(redis, jobs) == ["running"]
    assert redis.zscore(keys.LEASES, f"{JOB}|0")
    assert Ownership(redis).renew(owned).is_owner
    # A lease that is not renewed runs out all the same.
    redis.zadd(keys.LEASES, {f"{JOB}|0": 1})
    for _ in range(int(SETTINGS.lease_s) + 1):
        now_s[0] += 1
        reconciler.run_pass()
    assert redis.zcard(keys.LEASES) == 0

"""Which steps of Redis' clock are found, by readings of it and of a clock that is never set."""

import time

import pytest

from batchpool.ledger.recovery import ClockReading
from batchpool.reconciler.clock_step import LEAST_STEP_MS, ClockWatch, boot_clock

HOUR_MS = 3_600_000


class Clocks:
    """Redis' clock and that of this machine, and what a reading takes."""

    def __init__(self) -> None:
        self.redis_ms = 5_000_000
        self.here_s = 100.0
        self.moved_ms: int | None = None
        self.read_s = 0.0

    def read(self) -> ClockReading:
        reading = ClockReading(self.redis_ms, self.moved_ms)
        self.pass_s(self.read_s)
        return reading

    def pass_s(self, seconds: float) -> None:
        self.here_s += seconds
        self.redis_ms += int(seconds * 1000)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def watch(clocks: Clocks) -> ClockWatch:
    watch = ClockWatch(clocks.read, 8.0, lambda: clocks.here_s)
    assert watch.check() is None
    clocks.pass_s(1)
    assert watch.check() is None
    return watch


@pytest.mark.parametrize("step_ms", [HOUR_MS, -HOUR_MS, LEAST_STEP_MS + 500])
def test_a_step_is_found_until_it_was_followed(
    clocks: Clocks, watch: ClockWatch, step_ms: int
) -> None:
    clocks.pass_s(1)
    clocks.redis_ms += step_ms
    found = [watch.check() for _ in range(2)]
    assert [(each.step_ms, each.is_small) for each in found if each] == [(step_ms, False)] * 2
    assert found[1]
    clocks.moved_ms = step_ms
    watch.accept(found[1])
    assert watch.check() is None


def test_the_clock_is_trusted_as_far_as_it_was_followed(clocks: Clocks, watch: ClockWatch) -> None:
    trusted = watch.trusted_until_ms
    assert trusted == clocks.redis_ms + LEAST_STEP_MS
    clocks.redis_ms += HOUR_MS
    step = watch.check()
    assert step and watch.trusted_until_ms == trusted
    watch.accept(step)
    assert watch.trusted_until_ms == trusted + HOUR_MS


def test_nothing_is_trusted_before_the_first_reading(clocks: Clocks) -> None:
    assert ClockWatch(clocks.read, 8.0).trusted_until_ms == 0


def test_what_others_have_followed_is_not_found(clocks: Clocks, watch: ClockWatch) -> None:
    clocks.redis_ms += HOUR_MS
    clocks.moved_ms = HOUR_MS - 40
    assert watch.check() is None
    # However long this one was away.
    clocks.pass_s(600)
    clocks.redis_ms += 2 * HOUR_MS
    clocks.moved_ms += HOUR_MS
    step = watch.check()
    assert step and step.step_ms == HOUR_MS - 40 + 40
    assert step.reading.moved_ms == clocks.moved_ms


def test_what_a_failover_has_undone_is_found_again(clocks: Clocks, watch: ClockWatch) -> None:
    clocks.redis_ms += HOUR_MS
    clocks.moved_ms = HOUR_MS
    assert watch.check() is None
    clocks.moved_ms = 0
    step = watch.check()
    assert step and step.step_ms == HOUR_MS


def test_the_loss_of_the_sum_is_no_step(clocks: Clocks, watch: ClockWatch) -> None:
    clocks.redis_ms += HOUR_MS
    clocks.moved_ms = HOUR_MS
    assert watch.check() is None
    clocks.moved_ms = None
    assert watch.check() is None


@pytest.mark.parametrize("step_ms, counts", [(1900, False), (2500, True), (9900, True)])
def test_a_small_step_forward_counts_for_leases(
    clocks: Clocks, watch: ClockWatch, step_ms: int, counts: bool
) -> None:
    clocks.redis_ms += step_ms
    step = watch.check()
    assert bool(step) is counts
    if step:
        assert step.is_small
        watch.accept(step)
        assert watch.check() is None


def test_a_small_step_back_does_not_count(clocks: Clocks, watch: ClockWatch) -> None:
    clocks.redis_ms -= 9000
    assert watch.check() is None


def test_a_slow_reading_is_no_step(clocks: Clocks, watch: ClockWatch) -> None:
    # This process is stopped between the reading and the look at its own clock.
    trusted = watch.trusted_until_ms
    clocks.read_s = 60.0
    assert watch.check() is None
    assert watch.trusted_until_ms == trusted
    clocks.read_s = 0.0
    assert watch.check() is None
    assert watch.trusted_until_ms > trusted


def test_a_redis_that_is_always_slow_is_trusted(clocks: Clocks, watch: ClockWatch) -> None:
    for read_s in (2.0, 3.5, 0.0, 3.5, 2.0):
        clocks.read_s = read_s
        began_ms = clocks.redis_ms
        assert watch.check() is None
        assert watch.trusted_until_ms == began_ms + LEAST_STEP_MS
        clocks.pass_s(1)


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="this system has no such clock")
def test_the_clock_goes_on_while_the_machine_is_suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "clock_gettime", float)
    assert boot_clock() == time.CLOCK_BOOTTIME

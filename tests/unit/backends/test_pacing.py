"""Tokens of a rate are used at their time, or lapse."""

from bisect import bisect_left
from time import monotonic, sleep

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpool.backends.pacing import Lease, LocalBudget, Pacer
from batchpool.rates import Pace, interval_of, pace_of


class Noted(LocalBudget):
    """A budget that notes what was asked of it."""

    def __init__(self, spacing_s: float) -> None:
        super().__init__(spacing_s)
        self.wants: list[int] = []

    def lease(self, want: int) -> Lease:
        self.wants.append(want)
        return super().lease(want)


class SimulatedBudget:
    """A budget by a clock that only moves when it is moved."""

    def __init__(self, spacing_s: float) -> None:
        self.now_s = 100.0
        self._spacing_s = spacing_s
        self._free_s = 0.0

    def clock(self) -> float:
        return self.now_s

    def lease(self, want: int) -> Lease:
        begin_s = max(self.now_s, self._free_s)
        if begin_s > self.now_s + 1:
            return Lease(0, begin_s - 1)
        self._free_s = begin_s + want * self._spacing_s
        return Lease(want, begin_s)


STEPS = st.tuples(st.integers(0, 2), st.floats(0, 0.3), st.integers(1, 40))


@given(st.sampled_from(["1/s", "3/s", "20/s", "400/s", "600/min"]), st.lists(STEPS, max_size=300))
def test_no_unit_of_time_has_more_begins_than_the_rate(
    rate: str, steps: list[tuple[int, float, int]]
) -> None:
    """Three batches take at any moment as many as they get."""
    budget = SimulatedBudget(pace_of(rate).spacing_s)
    pacers = [Pacer(budget, pace_of(rate), budget.clock) for _ in range(3)]
    begun: list[float] = []
    for which, pause_s, most in steps:
        budget.now_s += pause_s
        pacers[which].refill(most)
        begun += [budget.now_s] * pacers[which].take(most)
    unit_s = 60.0 if rate.endswith("min") else 1.0
    items = int(rate.partition("/")[0])
    windows = [n + 1 - bisect_left(begun, end - unit_s + 1e-9) for n, end in enumerate(begun)]
    assert max(windows, default=0) <= items


def test_late_items_are_not_too_many_together_with_those_in_time() -> None:
    budget = SimulatedBudget(pace_of("20/s").spacing_s)
    pacer = Pacer(budget, pace_of("20/s"), budget.clock)
    pacer.refill(100)
    # As late as the first token may be used.
    budget.now_s += 0.0499
    end_s, begun = budget.now_s + 1, 0
    while budget.now_s < end_s:
        begun += pacer.take(5)
        pacer.refill(100)
        begun += pacer.take(5)
        budget.now_s += 0.0005
    assert begun == 20


def test_a_busy_batch_uses_nearly_all_of_the_rate() -> None:
    budget = SimulatedBudget(pace_of("20/s").spacing_s)
    pacers = [Pacer(budget, pace_of("20/s"), budget.clock) for _ in range(3)]
    begun = 0
    for _ in range(10_000):
        budget.now_s += 0.001
        for pacer in pacers:
            pacer.refill(1000)
            begun += pacer.take(4)
    assert 185 <= begun <= 200


def test_items_begin_apart_and_leases_grow() -> None:
    interval_s = 0.002
    budget = Noted(interval_s)
    pacer = Pacer(budget, Pace(interval_s, 0.05))
    began_s, begun = monotonic(), 0
    while begun < 300:
        pacer.refill(300 - begun)
        if not (taken := pacer.take(300)):
            sleep(pacer.pause_s)
        begun += taken
        # The burst is what the time for which a token is good holds.
        assert begun <= 2 + (monotonic() - began_s + 0.05) / interval_s
    assert len(budget.wants) < 100
    assert max(budget.wants) > 10


def test_tokens_that_are_not_used_lapse() -> None:
    budget = Noted(0.01)
    pacer = Pacer(budget, Pace(0.01, 0.05))
    for _ in range(5):
        pacer.refill(100)
        sleep(pacer.pause_s)
        assert pacer.take(1) == 1
    sleep(0.3)
    assert pacer.take(100) == 0
    pacer.refill(100)
    assert pacer.take(100) == 1


def test_without_tokens_it_asks_again_when_it_is_told() -> None:
    class Away:
        asked = 0

        def lease(self, want: int) -> Lease:
            self.asked += 1
            return Lease(0, monotonic() + 60)

    budget = Away()
    pacer = Pacer(budget, Pace(0.01, 0.05))
    for _ in range(3):
        pacer.refill(1)
        assert pacer.take(1) == 0
    assert budget.asked == 1
    assert 59 < pacer.pause_s <= 60


@pytest.mark.parametrize(("rate", "interval_s"), [("10/s", 0.1), ("30/min", 2), ("1/h", 3600)])
def test_a_rate_has_an_interval(rate: str, interval_s: float) -> None:
    assert interval_of(rate) == interval_s


@pytest.mark.parametrize("rate", ["0/s", "1.5/s", "10", "10/d", "-1/s", "10 / s", "1000000/s"])
def test_what_is_no_rate_is_refused(rate: str) -> None:
    with pytest.raises(ValueError, match="must be a rate as '10/s'"):
        interval_of(rate)

"""Tokens of a rate are used at their time, or lapse."""

from time import monotonic, sleep

import pytest

from batchpool.backends.pacing import Lease, LocalBudget, Pacer
from batchpool.rates import interval_of


class Noted(LocalBudget):
    """A budget that notes what was asked of it."""

    def __init__(self, interval_s: float) -> None:
        super().__init__(interval_s)
        self.wants: list[int] = []

    def lease(self, want: int) -> Lease:
        self.wants.append(want)
        return super().lease(want)


def test_items_begin_an_interval_apart_and_leases_grow() -> None:
    interval_s = 0.002
    budget = Noted(interval_s)
    pacer = Pacer(budget, interval_s)
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
    pacer = Pacer(budget, 0.01)
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
    pacer = Pacer(budget, 0.01)
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

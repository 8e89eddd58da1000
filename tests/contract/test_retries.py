"""Failed items run again when their time has come; until then they take no slot."""

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median
from threading import Event, Thread
from time import monotonic, monotonic_ns, process_time
from typing import Any

import pytest

from batchpool.retry_policy import RetryPolicy
from tests.support.waiting import check_time

pytestmark = pytest.mark.usefixtures("fork_server")

AT_ONCE = RetryPolicy(max=2, delay_s=0)
LONG = RetryPolicy(max=3, delay_s=60, max_delay_s=60, jitter="none", on=("ValueError",))
SOON_S = 5.0

with_queue = pytest.mark.ways(
    lambda way: way.dispatch == "submit" or way.backend in ("process-pool", "interpreter-pool")
)
"""For the ways where items that were handed out wait in the queue of an executor."""


def runs_in(folder: str) -> list[str]:
    return (Path(folder) / "runs").read_text().split()


@contextmanager
def alarm_every(seconds: float, call: Callable[[], None]) -> Iterator[None]:
    """Call it from a signal handler, as a worker has its runner drain."""
    before = signal.signal(signal.SIGALRM, lambda *_: call())
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def ticking(context: Any) -> Iterator[None]:
    """Call `tick` from a thread, as the flush thread of a runner does."""
    is_over = Event()

    def tick() -> None:
        while not is_over.wait(0.02):
            context.tick()

    thread = Thread(target=tick)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def test_each_attempt_runs_once_and_is_kept(way: Any, context: Any, folder: str) -> None:
    count = way.few(120)
    result = way.run(context, "flaky", range(count), params={"folder": folder}, retries=AT_ONCE)
    assert sorted(outcome.index for outcome in result.outcomes) == list(range(count))
    for outcome in result.outcomes:
        assert (outcome.state, outcome.attempt) == ("succeeded", 3)
        assert [t["error"]["message"] for t in outcome.tries] == ["not yet: 1", "not yet: 2"]
    assert set(Counter(runs_in(folder)).values()) == {3}


def test_an_item_that_keeps_failing_has_its_last_error(way: Any, context: Any, folder: str) -> None:
    retries = RetryPolicy(max=1, delay_s=0.001)
    result = way.run(context, "flaky", [1], params={"folder": folder}, retries=retries)
    (outcome,) = result.outcomes
    assert (outcome.state, outcome.attempt) == ("failed", 2)
    assert outcome.error["message"] == "not yet: 2"


def test_an_item_that_waits_leaves_its_slot_to_others(way: Any, context: Any, folder: str) -> None:
    items = range(way.few(24))
    params = {"folder": folder, "seconds": 0.05}
    retries = RetryPolicy(max=1, delay_s=0.2, jitter="none")
    way.run(context, "first-flaky", items, params=params, retries=retries, concurrency=1)
    runs = runs_in(folder)
    assert sorted(runs) == sorted(["0", *map(str, items)])
    # Others ran while it waited, and it came back before the rest had run.
    assert 1 < runs.index("0", 1) < len(runs) - 1


def test_a_wait_ends_with_a_drain_and_takes_no_cpu(way: Any, context: Any) -> None:
    used_s: list[float] = []

    def note() -> None:
        used_s.append(process_time())
        if len(used_s) == 3:
            context.drain()

    began_s = monotonic()
    with alarm_every(0.4, note):
        result = way.run(context, "picky-zero", [1, 1, 1], retries=LONG)
    assert result.report.drained
    assert result.outcomes == []
    check_time("the end", monotonic() - began_s, SOON_S)
    check_time("CPU of 0.4 s of waiting", used_s[2] - used_s[1], 0.02)


def test_a_failure_that_stops_the_batch_ends_the_waits(way: Any, context: Any) -> None:
    began_s = monotonic()
    items = ["ValueError", "ValueError", "KeyError"]
    result = way.run(context, "raises", items, retries=LONG, on_error="stop")
    assert result.report.failed_fast
    check_time("the end", monotonic() - began_s, SOON_S)
    found = {(o.index, o.state, o.error["type"], o.attempt) for o in result.outcomes}
    assert (2, "failed", "KeyError", 1) in found
    # Those that have failed before that are not lost.
    assert found <= {(n, "failed", kind, 1) for n, kind in enumerate(items)}


def test_items_begin_at_their_rate_and_the_wait_is_not_theirs(way: Any, context: Any) -> None:
    began_s = monotonic()
    count = way.few(12)
    result = way.run(context, "echo", range(count), rate="20/s")
    assert monotonic() - began_s >= (count - 1) / 20
    assert sorted(outcome.index for outcome in result.outcomes) == list(range(count))
    walls_s = [outcome.wall_ns / 1e9 for outcome in result.outcomes]
    check_time("an item that does nothing", median(walls_s), 0.02)


def test_a_wait_for_the_rate_ends_with_a_drain(way: Any, context: Any) -> None:
    began_s = monotonic()
    with alarm_every(0.8, context.drain):
        result = way.run(context, "echo", range(3), rate="1/h")
    assert result.report.drained
    assert len(result.outcomes) <= 1
    check_time("the end", monotonic() - began_s, SOON_S)


@with_queue
def test_what_is_in_a_queue_when_the_batch_stops_has_its_last_error(way: Any, context: Any) -> None:
    retries = RetryPolicy(max=3, delay_s=0.05, jitter="none", on=("ValueError",))
    how = {"retries": retries, "concurrency": 1, "on_error": "stop"}
    result = way.run(context, "raises", ["ValueError", "KeyError"], **how)
    assert result.report.failed_fast
    found = sorted((o.index, o.state, o.error["type"]) for o in result.outcomes)
    assert found == [(0, "failed", "ValueError"), (1, "failed", "KeyError")]


@with_queue
def test_what_is_in_a_queue_near_the_limit_has_its_last_error(
    way: Any, context: Any, folder: str
) -> None:
    way.run(context, "echo", [0], concurrency=1)
    retries = RetryPolicy(max=1, delay_s=0.05, jitter="none")
    params, limit_ns = {"folder": folder, "seconds": 1.3}, monotonic_ns() + 1_200_000_000
    how = {"params": params, "retries": retries, "concurrency": 1}
    with ticking(context) if way.in_process else nullcontext():
        result = way.run(context, "first-flaky", range(2), limit_ns=limit_ns, **how)
    found = sorted((o.index, o.state, o.attempt) for o in result.outcomes)
    # The second attempt comes when the other item has ended, and counts no more.
    assert found == [(0, "failed", 1), (1, "succeeded", 1)]

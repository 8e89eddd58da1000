"""Each item's outcome goes on once; failed ones wait for their next try."""

from math import inf
from time import monotonic_ns, sleep
from typing import Any

from batchpool.backends.item_source import ItemSource
from batchpool.backends.outcomes import BEFORE_LIMIT_NS, BEGINS_WITHIN_NS, OutcomeCollector
from batchpool.execution.record_buffer import RecordBuffer
from batchpool.execution.stop_flag import StopFlag
from batchpool.model import ExecutionSite, Outcome, RecordState, TaskError
from batchpool.retry_policy import RetryPolicy

LANE = ExecutionSite(1, 2, 3, "MainThread", 0)


def outcome(index: int, state: RecordState = "succeeded", kind: str = "a.E") -> Outcome:
    error = TaskError(type=kind, message=str(index), traceback=None)
    shown = None if state == "succeeded" else error
    return Outcome(index, state, None, shown, LANE, monotonic_ns(), 10**9, 0)


def intake(
    retries: int = 0, stop: bool = False, policy: RetryPolicy | None = None
) -> tuple[OutcomeCollector, list[Outcome], StopFlag]:
    seen: list[Outcome] = []
    gate = StopFlag()
    taker = OutcomeCollector(seen.extend, gate, first=10, count=5)
    taker.configure(policy or RetryPolicy(max=retries, delay_s=0), stop, 5)
    return taker, seen, gate


def states(seen: list[Outcome]) -> list[Any]:
    return [(o.index, o.state) for o in seen]


def test_an_outcome_that_comes_twice_counts_once() -> None:
    taker, seen, _ = intake()
    assert taker.add([outcome(10), outcome(11)]) == 2
    assert taker.add([outcome(11), outcome(12)]) == 1
    assert [o.index for o in seen] == [10, 11, 12]
    assert taker.unanswered(range(10, 15)) == [13, 14]
    assert taker.unanswered([12]) == []


def test_a_failed_item_is_held_until_its_tries_are_used() -> None:
    taker, seen, gate = intake(retries=2)
    taker.put(outcome(10, "failed"))
    taker.put(outcome(11))
    taker.put(outcome(12, "timeout"))
    assert states(seen) == [(11, "succeeded")]
    assert taker.take_due(1) == [10]
    assert taker.take_due(9) == [12]
    assert taker.unanswered([10]) == [10]
    taker.put(outcome(10))
    taker.put(outcome(12, "failed"))
    assert taker.take_due(9) == [12]
    taker.put(outcome(12, "failed"))
    assert (taker.waiting, taker.open) == (0, 2)
    assert states(seen) == [(11, "succeeded"), (10, "succeeded"), (12, "failed")]
    assert [o.attempt for o in seen] == [1, 2, 3]
    assert [len(o.tries) for o in seen] == [0, 1, 2]
    assert seen[2].tries[0] == {"error": {**outcome(12, "failed").error}, "wall_s": 1.0}
    assert not gate.closed


def test_a_crash_is_final() -> None:
    taker, seen, _ = intake(retries=2)
    taker.put(outcome(10, "crashed"))
    assert states(seen) == [(10, "crashed")]
    assert taker.waiting == 0


def test_only_errors_of_the_types_that_are_named_are_tried_again() -> None:
    taker, seen, _ = intake(policy=RetryPolicy(max=9, delay_s=0, on=("E", "b.F")))
    for index, kind in enumerate(("a.E", "E", "b.F", "F"), start=10):
        taker.put(outcome(index, "failed", kind))
    assert taker.take_due(9) == [10, 11, 12]
    assert states(seen) == [(13, "failed")]


def test_a_failed_item_comes_back_when_its_time_has_come() -> None:
    taker, _, _ = intake(policy=RetryPolicy(max=1, delay_s=9, jitter="none"))
    assert taker.next_due_s == inf
    taker.put(outcome(10, "failed"))
    assert taker.changed.is_set()
    assert taker.take_due(9) == []
    assert 8 < taker.next_due_s <= 9


def test_an_outcome_of_an_earlier_attempt_is_not_that_of_the_next() -> None:
    taker, seen, _ = intake(retries=1)
    first = outcome(10, "failed")
    sent_ns = monotonic_ns()
    taker.add([first])
    assert taker.take_due(1) == [10]
    assert taker.add([first]) == 0
    # Whoever had sent the first attempt must not send it again: the second is elsewhere.
    assert taker.unanswered([10, 11], sent_ns) == [11]
    assert taker.unanswered([10, 11], monotonic_ns()) == [10, 11]
    assert taker.add([outcome(10, "failed")]) == 1
    assert states(seen) == [(10, "failed")]


def test_stop_closes_the_gate_at_a_final_failure_only() -> None:
    taker, seen, gate = intake(retries=1, stop=True)
    taker.put(outcome(10, "failed"))
    assert not gate.closed
    taker.take_due(9)
    taker.put(outcome(10, "failed"))
    assert (gate.closed, gate.reason) == (True, "failed_fast")
    assert states(seen) == [(10, "failed")]


def test_giving_up_passes_on_what_was_held() -> None:
    taker, seen, _ = intake(retries=1)
    taker.put(outcome(10, "failed"))
    taker.give_up()
    assert states(seen) == [(10, "failed")]


def test_what_would_be_tried_again_after_the_limit_fails_at_once() -> None:
    taker, seen, _ = intake()
    policy = RetryPolicy(max=2, delay_s=5, jitter="none")
    taker.configure(policy, False, 5, limit_ns=monotonic_ns() + 4 * 10**9)
    taker.put(outcome(10, "failed"))
    assert states(seen) == [(10, "failed")] and taker.waiting == 0
    assert seen[0].error == {"type": "a.E", "message": "10", "traceback": None}
    taker.configure(policy, False, 5, limit_ns=monotonic_ns() + 60 * 10**9)
    taker.put(outcome(11, "failed"))
    assert len(seen) == 1 and taker.waiting == 1


def test_what_waits_when_the_limit_is_near_fails_with_its_last_error() -> None:
    taker, seen, _ = intake()
    policy = RetryPolicy(max=2, delay_s=0, jitter="none")
    taker.configure(policy, False, 5, limit_ns=monotonic_ns() + BEFORE_LIMIT_NS + 10**9)
    taker.put(outcome(10, "failed"))
    assert taker.take_due(1) == [10]
    taker.put(outcome(10, "failed", "a.F"))
    taker.give_up_at_limit()
    assert seen == [] and taker.waiting == 1
    sleep(1)
    taker.give_up_at_limit()
    taker.give_up_at_limit()
    assert states(seen) == [(10, "failed")] and taker.take_due(1) == []
    assert seen[0].error and seen[0].error["type"] == "a.F"
    assert (seen[0].attempt, len(seen[0].tries)) == (2, 1)


def test_what_has_not_begun_again_when_the_limit_is_near_fails_with_its_last_error() -> None:
    taker, seen, _ = intake()
    policy = RetryPolicy(max=2, delay_s=0, jitter="none")
    limit_ns = monotonic_ns() + BEFORE_LIMIT_NS + 10**8
    taker.configure(policy, False, 5, limit_ns, find_running=lambda: {11})
    for kind in ("a.E", "a.F"):
        taker.add(outcome(index, "failed", kind) for index in (10, 11, 12))
        assert taker.take_due(9) == [10, 11, 12]
    sleep(0.1)
    taker.give_up_at_limit()
    # They may begin for a moment longer.
    taker.add([outcome(12)])
    assert states(seen) == [(12, "succeeded")]
    sleep(BEGINS_WITHIN_NS / 1e9)
    taker.give_up_at_limit()
    assert states(seen) == [(12, "succeeded"), (10, "failed")]
    assert seen[1].error and seen[1].error["type"] == "a.F"
    assert (seen[1].attempt, len(seen[1].tries)) == (2, 1)
    # What begins later all the same counts no more, and what runs is left to its end.
    assert taker.unanswered([10, 11]) == [11]
    assert taker.add([outcome(10), outcome(11)]) == 1
    assert states(seen[2:]) == [(11, "succeeded")]
    assert (seen[2].attempt, taker.open) == (3, 2)


def test_what_was_given_up_is_not_handed_out_again() -> None:
    taker, seen, gate = intake(retries=1)
    items = ItemSource(range(10, 13), taker, gate)
    assert items.take(2) == range(10, 12)
    taker.add([outcome(10, "failed")])
    assert items.take(1) == [10]
    items.give_back([10, 11])
    taker.give_up()
    assert states(seen) == [(10, "failed")]
    assert [list(items.take(1)) for _ in range(4)] == [[11], [12], [], []]


def test_what_needs_no_judgement_goes_straight_to_the_buffer() -> None:
    buffer = RecordBuffer()
    heard: list[Outcome] = []
    collector = OutcomeCollector(buffer, StopFlag(), first=10, count=5)
    collector.configure(RetryPolicy(), stop=False, items=5)
    rows = outcome(10), outcome(11, "failed")
    assert not collector.put(rows[0])
    collector.add_listener(heard.extend)
    assert not collector.put(rows[1])
    assert states(heard) == [(11, "failed")]
    assert buffer.take() == [*rows[0], *rows[1]]
    collector.configure(RetryPolicy(max=1), stop=False, items=5)
    assert collector.put(outcome(12, "failed"))
    assert len(buffer) == 0


def test_the_first_reason_to_close_stays() -> None:
    gate = StopFlag()
    gate.close("drained")
    gate.close("broken")
    assert gate.reason == "drained"

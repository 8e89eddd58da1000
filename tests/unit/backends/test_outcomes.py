"""Each item's outcome goes on once; failed ones wait for their next try."""

from typing import Any

from batchpool.backends.outcomes import OutcomeCollector
from batchpool.execution.record_buffer import RecordBuffer
from batchpool.execution.stop_flag import StopFlag
from batchpool.model import ExecutionSite, Outcome, RecordState, TaskError

LANE = ExecutionSite(1, 2, 3, "MainThread", 0)


def outcome(index: int, state: RecordState = "succeeded") -> Outcome:
    error = TaskError(type="E", message=str(index), traceback=None)
    return Outcome(index, state, None, None if state == "succeeded" else error, LANE, 0, 10**9, 0)


def intake(
    retries: int = 0, stop: bool = False
) -> tuple[OutcomeCollector, list[Outcome], StopFlag]:
    seen: list[Outcome] = []
    gate = StopFlag()
    taker = OutcomeCollector(seen.extend, gate, first=10, count=5)
    taker.configure(retries, stop)
    return taker, seen, gate


def states(seen: list[Outcome]) -> list[Any]:
    return [(o.index, o.state) for o in seen]


def test_an_outcome_that_comes_twice_counts_once() -> None:
    taker, seen, _ = intake()
    assert taker.add([outcome(10), outcome(11)]) == 2
    assert taker.add([outcome(11), outcome(12)]) == 1
    assert [o.index for o in seen] == [10, 11, 12]
    assert taker.unanswered(range(10, 15)) == [13, 14]
    assert taker.is_answered(12)


def test_a_failed_item_is_held_until_its_tries_are_used() -> None:
    taker, seen, gate = intake(retries=2)
    taker.put(outcome(10, "failed"))
    taker.put(outcome(11))
    taker.put(outcome(12, "timeout"))
    assert states(seen) == [(11, "succeeded")]
    assert taker.take_retries() == [10, 12]
    assert not taker.is_answered(10)
    taker.put(outcome(10))
    taker.put(outcome(12, "failed"))
    assert taker.take_retries() == [12]
    taker.put(outcome(12, "failed"))
    assert not taker.has_pending_retries
    assert states(seen) == [(11, "succeeded"), (10, "succeeded"), (12, "failed")]
    assert [o.attempt for o in seen] == [1, 2, 3]
    assert [len(o.tries) for o in seen] == [0, 1, 2]
    assert seen[2].tries[0] == {"error": {**outcome(12, "failed").error}, "wall_s": 1.0}
    assert not gate.closed


def test_a_crash_is_final() -> None:
    taker, seen, _ = intake(retries=2)
    taker.put(outcome(10, "crashed"))
    assert states(seen) == [(10, "crashed")]
    assert not taker.has_pending_retries


def test_stop_closes_the_gate_at_a_final_failure_only() -> None:
    taker, seen, gate = intake(retries=1, stop=True)
    taker.put(outcome(10, "failed"))
    assert not gate.closed
    taker.take_retries()
    taker.put(outcome(11, "failed"))
    assert (gate.closed, gate.reason) == (True, "failed_fast")
    assert states(seen) == [(11, "failed")]


def test_giving_up_passes_on_what_was_held() -> None:
    taker, seen, _ = intake(retries=1)
    taker.put(outcome(10, "failed"))
    taker.give_up()
    assert states(seen) == [(10, "failed")]


def test_what_needs_no_judgement_goes_straight_to_the_buffer() -> None:
    buffer = RecordBuffer()
    heard: list[Outcome] = []
    collector = OutcomeCollector(buffer, StopFlag(), first=10, count=5)
    collector.configure(retries=0, stop=False)
    assert not collector.put(outcome(10))
    collector.add_listener(heard.extend)
    assert not collector.put(outcome(11, "failed"))
    assert states(heard) == [(11, "failed")]
    assert buffer.take() == [*outcome(10), *outcome(11, "failed")]
    collector.configure(retries=1, stop=False)
    assert collector.put(outcome(12, "failed"))
    assert len(buffer) == 0


def test_the_first_reason_to_close_stays() -> None:
    gate = StopFlag()
    gate.close("drained")
    gate.close("broken")
    assert gate.reason == "drained"

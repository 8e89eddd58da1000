"""How outcomes get from the lanes to the ledger when there are many of them."""

import threading
from time import monotonic
from typing import Any, cast

from batchpool.ledger.ownership import Block, Claim, Ending, Ownership
from batchpool.ledger.values.job_entries import Tally
from batchpool.model import ExecutionSite, Outcome, RunSpec
from batchpool.runner.record_writer import BLOCK_RECORDS, MOST_PENDING, RecordWriter

LANE = ExecutionSite(1, 1, 1, "MainThread", 0)


class Taken:
    """Stands in for the ledger's side: takes every block, and remembers its size."""

    def __init__(self) -> None:
        self.records = 0

    def flush(self, claim: Claim, block: Block, tally: Tally, ending: Ending | None) -> str:
        self.records += block.size
        return "ok"


def _flusher(taken: Taken, count: int) -> RecordWriter:
    claim = Claim("j", 0, "t", 1, RunSpec("echo"), 0, count, False, frozenset(), Tally(), 0, 60_000)
    return RecordWriter(cast(Ownership, taken), claim, 0, running=lambda: 0)


def _outcomes(first: int, count: int) -> list[Outcome]:
    made: Any = range(first, first + count)
    return [Outcome(index, "succeeded", index, None, LANE, 0, 1, 1) for index in made]


def test_a_lane_waits_while_the_flusher_is_far_behind() -> None:
    taken = Taken()
    flusher = _flusher(taken, MOST_PENDING + 10)
    flusher.add_from_thread(_outcomes(0, MOST_PENDING))
    last = _outcomes(MOST_PENDING, 10)
    lane = threading.Thread(target=flusher.add_from_thread, args=(last,))
    lane.start()
    lane.join(0.2)
    assert lane.is_alive()
    assert flusher.is_behind
    flusher.tick()
    lane.join(10)
    assert not lane.is_alive()
    flusher.close(None)
    assert taken.records == MOST_PENDING + 10


def test_lanes_that_add_while_others_take_lose_nothing() -> None:
    lanes, each = 4, 5 * BLOCK_RECORDS
    taken = Taken()
    flusher = _flusher(taken, lanes * each)

    def add(first: int) -> None:
        for outcome in _outcomes(first, each):
            flusher.add_from_thread([outcome])

    threads = [threading.Thread(target=add, args=(lane * each,)) for lane in range(lanes)]
    for thread in threads:
        thread.start()
    deadline = monotonic() + 60
    while any(thread.is_alive() for thread in threads) and monotonic() < deadline:
        flusher.tick()
    flusher.close(None)
    assert taken.records == lanes * each
    assert flusher.counts == {"succeeded": lanes * each}

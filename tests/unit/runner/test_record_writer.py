"""How outcomes get from the lanes to the ledger when there are many of them."""

import threading
from dataclasses import replace
from time import monotonic
from typing import Any, cast

from batchpool.execution.item_logs import ItemLogs
from batchpool.execution.record_buffer import DUE_FROM, MOST_WAITING
from batchpool.ledger.ownership import Block, Claim, Ending, Ownership
from batchpool.ledger.values.job_entries import Tally
from batchpool.model import ExecutionSite, Outcome, RunSpec
from batchpool.reducers.reducer import Reducer
from batchpool.reducers.reduction import BatchReductions, merge
from batchpool.runner.record_writer import BLOCK_BYTES, BLOCK_RECORDS, RecordWriter

LANE = ExecutionSite(1, 1, 1, "MainThread", 0)


class Taken:
    """Stands in for the ledger's side: takes every block, and remembers its size."""

    def __init__(self) -> None:
        self.records = 0
        self.sizes: list[int] = []
        self.reduced: dict[str, bytes] = {}

    def flush(self, claim: Claim, block: Block, tally: Tally, ending: Ending | None) -> str:
        self.records += block.size
        self.sizes.append(block.size)
        self.reduced |= block.reduced
        return "ok"


def _claim(count: int) -> Claim:
    run = RunSpec("echo")
    return Claim("j", 0, "t", 1, run, 0, count, False, frozenset(), Tally(), 0, 60_000)


def _flusher(taken: Taken, count: int) -> RecordWriter:
    writer = RecordWriter(
        cast(Ownership, taken), _claim(count), 0, running=lambda: 0, logs=ItemLogs()
    )
    writer.buffer.has_taker = True
    return writer


def _outcomes(first: int, count: int) -> list[Outcome]:
    made: Any = range(first, first + count)
    return [Outcome(index, "succeeded", index, None, LANE, 0, 1, 1) for index in made]


def test_a_lane_waits_while_the_flusher_is_far_behind() -> None:
    taken = Taken()
    flusher = _flusher(taken, MOST_WAITING + 10)
    flusher.buffer.add(_outcomes(0, MOST_WAITING))
    last = _outcomes(MOST_WAITING, 10)
    lane = threading.Thread(target=flusher.buffer.add, args=(last,))
    lane.start()
    lane.join(0.2)
    assert lane.is_alive()
    assert flusher.is_behind
    flusher.tick()
    lane.join(10)
    assert not lane.is_alive()
    flusher.close(None)
    assert taken.records == MOST_WAITING + 10


def test_lanes_that_add_while_others_take_lose_nothing() -> None:
    lanes, each = 4, 5 * BLOCK_RECORDS
    taken = Taken()
    flusher = _flusher(taken, lanes * each)

    def add(first: int) -> None:
        for outcome in _outcomes(first, each):
            flusher.buffer.add([outcome])

    threads = [threading.Thread(target=add, args=(lane * each,)) for lane in range(lanes)]
    for thread in threads:
        thread.start()
    deadline = monotonic() + 60
    while any(thread.is_alive() for thread in threads) and monotonic() < deadline:
        flusher.tick()
    flusher.close(None)
    assert taken.records == lanes * each
    assert flusher.counts == {"succeeded": lanes * each}


def test_blocks_are_cut_by_what_their_values_take() -> None:
    taken = Taken()
    flusher = _flusher(taken, 7)
    text = "x" * (BLOCK_BYTES // 3 + 1)
    flusher.buffer.add(o._replace(value=text) for o in _outcomes(0, 7))
    flusher.close(None)
    assert taken.sizes == [3, 3, 1]


def test_reducers_take_what_succeeded_after_what_was_stored() -> None:
    reducers = {"sum": Reducer("sum"), "lost": Reducer("count", of="/x")}
    stored = BatchReductions(reducers, {}).add([9], [100])
    taken = Taken()
    run = RunSpec("echo", reduce=reducers)
    claim = replace(_claim(12), run=run, reduced=stored)
    writer = RecordWriter(cast(Ownership, taken), claim, 0, running=lambda: 0, logs=ItemLogs())
    failed = Outcome(3, "failed", None, None, LANE, 0, 1, 1)
    writer.buffer.add([*_outcomes(0, 3), failed, *_outcomes(4, 2)])
    writer.close(None)
    assert taken.records == 6
    found = {name: merge(each, [taken.reduced[name]]).show() for name, each in reducers.items()}
    assert found["sum"] == _shown(100 + 0 + 1 + 2 + 4 + 5)
    assert found["lost"] == _shown(0) | {"skipped": {"count": 6, "first_index": 0}}


def _shown(value: int) -> dict[str, Any]:
    return {"value": value, "skipped": {"count": 0, "first_index": None}, "overflow": 0}


def test_many_records_wake_the_taker() -> None:
    flusher = _flusher(Taken(), 2 * DUE_FROM)
    flusher.buffer.add(_outcomes(0, DUE_FROM - 1))
    assert not flusher.buffer.is_due.is_set()
    flusher.buffer.add(_outcomes(DUE_FROM, 1))
    assert flusher.buffer.is_due.is_set()

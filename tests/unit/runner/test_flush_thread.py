"""The flush thread: it flushes during batches alone, and no batch goes without it."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from batchpool.errors import LimitReached
from batchpool.execution.item_logs import ItemLogs
from batchpool.ledger.ownership import Block, Claim, Ending
from batchpool.ledger.values.job_entries import Tally
from batchpool.model import RunSpec
from batchpool.runner.flush_thread import FlushThread
from batchpool.runner.protocol import RunnerReply
from batchpool.runner.record_writer import OwnershipLost, RecordWriter


class _Ledger:
    def flush(self, claim: Claim, block: Block, tally: Tally, ending: Ending | None) -> str:
        return "ok"


def _writer() -> RecordWriter:
    claim = Claim("j", 0, "t", 1, RunSpec("echo"), 0, 9, False, frozenset(), Tally(), 0, 60_000)
    return RecordWriter(_Ledger(), claim, 0, running=lambda: 0, logs=ItemLogs())  # type: ignore[arg-type]


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class _Flushed:
    """Counts flushes; raises `error` from each, if there is one."""

    def __init__(self) -> None:
        self.count = 0
        self.replies: list[RunnerReply] = []
        self.error: Exception | None = None

    def tick(self) -> None:
        self.count += 1
        if self.error:
            raise self.error


@pytest.fixture
def flushed() -> _Flushed:
    return _Flushed()


@pytest.fixture
def thread(flushed: _Flushed) -> Iterator[FlushThread]:
    found = FlushThread(flushed.tick, flushed.replies.append)
    yield found
    found.keep(False, make_room=lambda: None)


def _keep(thread: FlushThread) -> None:
    thread.keep(True, make_room=lambda: None)


def test_each_batch_is_flushed_however_long_after_the_last_it_comes(
    thread: FlushThread, flushed: _Flushed
) -> None:
    for pause_s in (0, 0, 0.2, 0.05, 0):
        _keep(thread)
        before = flushed.count
        with thread.flushing(_writer()):
            _wait_until(lambda: flushed.count > before)  # noqa: B023
        time.sleep(pause_s)
    assert sum(one.name == "flusher" for one in threading.enumerate()) == 1


def test_nothing_is_flushed_after_a_batch(thread: FlushThread, flushed: _Flushed) -> None:
    _keep(thread)
    writer = _writer()
    with thread.flushing(writer):
        _wait_until(lambda: flushed.count > 0)
    count = flushed.count
    time.sleep(0.2)
    assert flushed.count == count
    assert not writer.buffer.has_taker


def test_a_batch_that_may_fork_has_no_flush_thread(thread: FlushThread) -> None:
    _keep(thread)
    thread.keep(False, make_room=lambda: None)
    assert all(one.name != "flusher" for one in threading.enumerate())
    _keep(thread)


def test_a_lost_batch_is_told_once(thread: FlushThread, flushed: _Flushed) -> None:
    _keep(thread)
    flushed.error = OwnershipLost("stale")
    writer = _writer()
    with thread.flushing(writer):
        _wait_until(lambda: not writer.buffer.has_taker)
        time.sleep(0.1)
        assert (flushed.replies, flushed.count) == ([RunnerReply("disowned", "stale")], 1)


def test_a_failed_flush_does_not_end_the_thread(thread: FlushThread, flushed: _Flushed) -> None:
    _keep(thread)
    flushed.error = ValueError("broken")
    with thread.flushing(_writer()):
        _wait_until(lambda: flushed.replies == [RunnerReply("broken", "ValueError: broken")])
    flushed.error = None
    with thread.flushing(_writer()):
        _wait_until(lambda: flushed.count > 1)


def test_room_is_made_once_for_a_thread_that_cannot_start(
    thread: FlushThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise LimitReached("no thread can be started")

    asked: list[str] = []
    monkeypatch.setattr("batchpool.runner.flush_thread.start_thread", refuse)
    with pytest.raises(LimitReached):
        thread.keep(True, make_room=lambda: asked.append("room"))
    assert asked == ["room"]

"""A worker that is told to stop takes no further message, whenever the signal comes."""

from types import SimpleNamespace

import pytest
from rq.exceptions import StopRequested

from batchpool.worker.message_source import MessageSource
from batchpool.worker.rq_worker import BatchWorker


def told_to_stop(is_interruptible: bool) -> BatchWorker:
    worker = BatchWorker.__new__(BatchWorker)
    worker._source = SimpleNamespace(is_interruptible=is_interruptible)  # type: ignore[assignment]
    worker._stop_requested = False
    return worker


def test_the_wait_for_a_message_is_interrupted() -> None:
    worker = told_to_stop(is_interruptible=True)
    with pytest.raises(StopRequested):
        worker._shutdown()
    assert worker.dequeue_job_and_maintain_ttl(1) is None


def test_nothing_else_is_interrupted_and_no_message_is_taken_afterwards() -> None:
    worker = told_to_stop(is_interruptible=False)
    worker._shutdown()
    assert worker.dequeue_job_and_maintain_ttl(1) is None


def test_a_signal_between_two_waits_is_seen_before_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = told_to_stop(is_interruptible=False)
    worker._reservation = SimpleNamespace(worker_slot=None)  # type: ignore[assignment]
    worker._reloads, worker._reading, worker._ordered_queues = False, "class", [None]
    unused, owner = SimpleNamespace(), object()
    worker._source = MessageSource(
        unused,  # type: ignore[arg-type]
        unused,  # type: ignore[arg-type]
        unused,  # type: ignore[arg-type]
        lambda: owner,  # type: ignore[arg-type, return-value]
        codes=str,
        stopping=lambda: worker._stop_requested,
    )
    monkeypatch.setattr(worker, "heartbeat", worker._shutdown)
    assert worker.dequeue_job_and_maintain_ttl(1) is None

"""A worker that is told to stop takes no further message, whenever the signal comes."""

from types import SimpleNamespace

import pytest
from rq.exceptions import StopRequested

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

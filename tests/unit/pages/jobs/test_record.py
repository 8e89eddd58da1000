"""The record of an item in full: where it ran, how much it computed, and its attempts."""

from dataclasses import replace
from typing import Any

from batchpool.ledger.blocks.record_fields import RecordDocument
from batchpool.ledger.values.job_entries import JobEntry, LostOwner
from batchpool.pages.jobs.record import RecordView, build_record
from tests.unit.jobs.test_timeline import SUBMITTED_MS, add_epoch, entry

FAILED: RecordDocument = {
    "index": 7,
    "item": 7,
    "state": "failed",
    "value": None,
    "error": {"type": "ValueError", "message": "no total", "traceback": "Traceback\nValueError"},
    "batch": 0,
    "epoch": 1,
    "attempt": 1,
    "tries": [],
    "worker": "w",
    "host": "h",
    "pid": 2,
    "ppid": 1,
    "thread_id": 3,
    "thread_name": "pool_0",
    "interpreter": 0,
    "started_at": "2026-01-01T00:00:00.000000Z",
    "offset_s": 0.25,
    "wall_s": 0.5,
    "cpu_s": 0.125,
    "sum_seen": None,
    "log": "said\n",
}


def build(job: JobEntry | None = None, **change: Any) -> RecordView:
    record: Any = FAILED | change
    return build_record(record, job or entry())


def test_a_record_says_where_the_timeline_has_it() -> None:
    view = build()
    assert (view.place["start"], view.place["state"]) == (1.25, "f")
    assert dict(view.pairs)["Started"] == "1.250\u00a0s"
    assert dict(view.pairs)["Process"] == "PID 2, child of 1"
    assert (view.share, view.log) == (0.25, "said\n")
    assert view.computing.endswith("(25\u00a0%); the rest it waited or was held up")


def test_an_item_that_never_ran_has_no_place() -> None:
    nothing = dict.fromkeys(("worker", "pid", "epoch", "offset_s", "wall_s", "cpu_s", "error"))
    view = build(**nothing, state="cancelled", attempt=0)
    assert (view.place["start"], view.share, view.computing) == (None, None, "It never ran.")
    assert dict(view.pairs)["Started"] == "never"
    assert view.can_retry


def test_only_an_item_without_success_of_an_ended_job_is_retried() -> None:
    running = replace(entry(), state="running")
    assert [build().can_retry, build(running).can_retry] == [True, False]
    assert build(running).retry_note and not build().retry_note
    succeeded = build(state="succeeded", error=None, value=10**30)
    assert not succeeded.can_retry
    assert "1\u202f000\u202f000" in dict(succeeded.pairs)["Value"]


def test_long_inputs_stand_apart() -> None:
    view = build(item="x" * 100_000)
    assert "Input" not in dict(view.pairs)
    assert len(dict(view.texts)["Input"]) == 20_000


def test_attempts_are_told_in_order_with_losses_of_workers() -> None:
    assert build().attempts == ()
    job = entry()
    lost: LostOwner = {"lease_ended_ms": SUBMITTED_MS + 3900, "in_flight": [7]}
    job.batches[0].epochs[0].update(end_reason="lost", lost=lost)
    add_epoch(job.batches[0], 4500)
    tried = {"error": {"type": "OSError", "message": "busy", "traceback": None}, "wall_s": 0.5}
    assert build(job, epoch=2, attempt=2, tries=[tried]).attempts == (
        "Epoch 1: in flight on w when that was lost",
        "Attempt 1: OSError after 500\u00a0ms: busy",
        "Epoch 2, attempt 2: failed",
    )
    assert build(job, epoch=2, index=8).attempts == ()

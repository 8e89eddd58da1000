"""Why a job waits, from its batches and the workers that are there."""

from dataclasses import replace
from typing import Any

import pytest

from batchpool.jobs.fleet import Fleet
from batchpool.jobs.waiting import waiting_for
from batchpool.ledger.values.announcements import LiveWorker, ReservedSlot
from batchpool.ledger.values.job_entries import Epoch, JobEntry, NewJob, new_entry
from tests.support.job_specs import job_spec

SLOT = ReservedSlot("abc", 0)


def worker(name: str = "w", **changes: Any) -> LiveWorker:
    fields: dict[str, Any] = {"host": "h", "pid": 1, "python": "3.11", "gil": True, "cpus": 2.0}
    fields |= {"class_id": "c", "state": "busy"}
    return LiveWorker(name=name, **fields | changes)


def job(*states: str, **of_batches: Any) -> JobEntry:
    """A job of queue c with a batch in each state; those that run are those of worker w."""
    ranges = [(at, 1) for at in range(len(states))]
    new = new_entry(NewJob("j", job_spec(), ranges, None, "c", 60, 60, 60), 0)
    epoch: Any = {"worker": "w", "started_ms": 0, "ended_ms": None, "end_reason": None}
    batches = [
        replace(
            batch,
            state=state,
            epochs=[Epoch(**epoch)] if state == "running" else [],
            parked="it needs Python 3.14" if state == "parked" else None,
            **of_batches,
        )
        for batch, state in zip(new.batches, states, strict=True)
    ]
    ended = all(state == "succeeded" for state in states)
    return replace(new, state="succeeded" if ended else "running", batches=batches)


@pytest.mark.parametrize(
    ("waits", "workers", "code", "words"),
    [
        (job("succeeded"), [], None, ""),
        (job("running", "queued"), [worker()], None, ""),
        (job("queued"), [], "no_worker", "No worker is here"),
        (job("queued"), [worker(state="draining")], "no_worker", "No worker is here"),
        (job("queued"), [worker(class_id="other")], "no_worker", "have left"),
        (job("running"), [worker("another")], "no_worker", "No sign of life from worker w."),
        (job("parked"), [worker()], "parked", "This job is parked: it needs Python 3.14. It goes"),
        (job("running", "parked"), [worker()], "parked", "Batches are parked: 1: it needs"),
        (job("queued"), [worker()], "queue", "The one worker that can run it is busy"),
        (job("queued"), [worker(), worker("x")], "queue", "Both workers that can run it are busy"),
        (job("queued"), [worker(), worker("x", state="idle")], "queue", "about to take it"),
        (
            job("queued"),
            [worker(class_id="c~abc~0", reserved=SLOT, state="idle")],
            "reserved",
            "The one worker that can run it is reserved for comparison abc.",
        ),
        (
            job("queued"),
            [worker(class_id="c~abc~0", reserved=SLOT, state="idle"), worker("x")],
            "queue",
            "The one worker that can run it is busy",
        ),
    ],
)
def test_a_job_says_what_it_waits_for(
    waits: JobEntry, workers: list[LiveWorker], code: str | None, words: str
) -> None:
    found = waiting_for(waits, lambda: Fleet([], workers))
    assert (found.code if found else None) == code
    assert words in (found.text if found else "")


def test_the_workers_are_not_asked_for_about_a_job_that_has_ended() -> None:
    def load() -> Fleet:
        raise AssertionError("asked")

    assert waiting_for(job("succeeded"), load) is None

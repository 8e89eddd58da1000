"""Runs: undisturbed, disturbed and by what, failed and why."""

from dataclasses import replace
from typing import Any

import pytest

from batchpool.comparisons.run_measurement import (
    has_cold_pool,
    job_run,
    run_start,
    task_runs,
    why_disturbed,
    why_failed,
)
from batchpool.ledger.values.job_entries import (
    BatchEntry,
    Epoch,
    JobEntry,
    NewJob,
    Tally,
    new_entry,
)
from batchpool.model import TaskError
from tests.support.job_specs import job_spec

HOLDERS = {
    slot: {"worker": f"w{slot}", "host": "box", "cpus": 2.0, "nonce": "n"} for slot in range(2)
}
BEFORE = run_start({"box": 7}, HOLDERS)
SPEC = job_spec(backend="process-pool", pool="warm")


def epoch(worker: str, end: str | None = "finished", host: str = "box") -> Epoch:
    return Epoch(
        worker=worker,
        host=host,
        pid=1,
        ppid=2,
        python="3.11",
        gil=True,
        started_ms=1100,
        ended_ms=1500,
        end_reason=end,
    )


def job(state: str = "succeeded", **changes: Any) -> JobEntry:
    """A job of two batches, each on the worker of its slot."""
    new = NewJob("j", SPEC, [(0, 2), (2, 2)], None, "c~x~0", 60, 60, 60)
    entry = new_entry(new, 1000)
    batches = [
        replace(
            batch,
            state="succeeded",
            started_ms=1100,
            finished_ms=1500,
            epochs=[epoch(f"w{batch.index}")],
            tally=Tally({"succeeded": 2}),
            report={"pool": "warm", "effective_concurrency": 2},
        )
        for batch in entry.batches
    ]
    ended = {"started_ms": 1100, "finished_ms": 1500, "batches": batches}
    return replace(entry, state=state, **(ended | changes))


def with_batch(found: JobEntry, **changes: Any) -> JobEntry:
    first: BatchEntry = replace(found.batches[0], **changes)
    return replace(found, batches=[first, *found.batches[1:]])


CLAIMS = {"box": 9}


def test_a_run_without_foreign_claims_is_undisturbed() -> None:
    assert why_disturbed(job(), BEFORE, CLAIMS) is None


@pytest.mark.parametrize(
    ("found", "claims", "says"),
    [
        (None, CLAIMS, "deleted"),
        (job("cancelled"), CLAIMS, "cancelled"),
        (job(), {"box": 10}, "1 batch of other jobs started on host box"),
        (job(), {"box": 12}, "3 batches of other jobs"),
        (job(), {}, "not counted"),
        (job(), {"box": 2}, "not counted"),
        (with_batch(job(), lost=1), CLAIMS, "w0 was lost"),
        (with_batch(job(), epochs=[epoch("w0", "released"), epoch("w0")]), CLAIMS, "w0 left"),
        (with_batch(job(), epochs=[epoch("w0", "x"), epoch("w7")]), CLAIMS, "w0 left"),
        (with_batch(job(), epochs=[epoch("w0", "crashed"), epoch("w0")]), CLAIMS, "runner of"),
        (with_batch(job(), epochs=[epoch("w7")]), CLAIMS, "ran on w7, not on w0"),
        (
            job("failed", error=TaskError(type="queue_timeout", message="", traceback=None)),
            CLAIMS,
            "no worker took it",
        ),
    ],
)
def test_the_cause_of_a_disturbance_is_named(found: Any, claims: dict[str, int], says: str) -> None:
    assert says in str(why_disturbed(found, BEFORE, claims))


def test_a_task_that_ends_its_process_fails_its_arm_and_disturbs_nothing() -> None:
    crashed = with_batch(job("failed"), epochs=[epoch("w0", "crashed"), epoch("w0")])
    assert why_disturbed(crashed, BEFORE, {"box": 10}) is None


def test_a_failure_says_how_the_tasks_ended() -> None:
    failed = with_batch(job("failed"), tally=Tally({"failed": 1}), rest="timeout")
    assert why_failed(failed) == "its tasks ended as 1 failed, 2 succeeded, 1 timeout"


def test_a_new_pool_is_cold_only_where_one_is_kept() -> None:
    made = with_batch(job(), report={"pool": "fresh"})
    assert has_cold_pool(made) and not has_cold_pool(job())
    assert not has_cold_pool(replace(made, spec=replace(SPEC, pool="fresh")))
    assert not has_cold_pool(replace(made, spec=replace(SPEC, backend="thread-pool")))


def test_a_job_becomes_a_run_in_seconds() -> None:
    phases = {"begin_s": 0.1, "ready_s": 0.2, "end_s": 0.3, "closed_s": 0.35}
    run = job_run(with_batch(job(), report={"phases": phases}), BEFORE)
    assert (run.wall_s, run.queue_s, run.backend) == (0.4, 0.1, "process-pool")
    assert (run.batches[0].begin_s, run.batches[0].closed_s) == (0.1, 0.35)
    assert run.batches[1].begin_s is None
    assert [batch.cpus for batch in run.batches] == [2.0, 2.0]


def test_items_that_never_ran_are_no_task_runs() -> None:
    record = {
        "index": 0,
        "state": "succeeded",
        "value": 1,
        "batch": 0,
        "epoch": 1,
        "offset_s": 0.5,
        "wall_s": 0.1,
        "cpu_s": 0.0,
        "pid": 1,
        "thread_id": 2,
        "item": 5,
    }
    (found,) = task_runs([record, record | {"offset_s": None}])
    assert (found.value, found.offset_s, found.wall_s) == (1, 0.5, 0.1)

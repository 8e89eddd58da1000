"""The job that is shown, from what the ledger holds."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from batchpool.exact_sum import ExactSum
from batchpool.jobs.aggregation import add_sums, show_job, show_summary
from batchpool.ledger.values.job_entries import BatchEntry, Epoch, JobEntry, Report, Tally
from tests.support.job_specs import job_spec

SPEC = job_spec(count=10)


def _epoch(**changes: Any) -> Epoch:
    known: Any = {
        "worker": "w1",
        "host": "box",
        "pid": 11,
        "ppid": 10,
        "python": "3.11",
        "gil": True,
        "started_ms": 1000,
        "ended_ms": None,
        "end_reason": None,
    }
    return known | changes


def _batch(**changes: Any) -> BatchEntry:
    entry = BatchEntry(
        index=0,
        first=0,
        count=10,
        state="queued",
        queue="c",
        tally=Tally(),
        queued_ms=0,
        started_ms=None,
        finished_ms=None,
        epochs=[],
        report=Report(),
        error=None,
        rest=None,
        parked=None,
        lost=0,
        refused=0,
    )
    return replace(entry, **changes)


def _job(*batches: BatchEntry, **changes: Any) -> JobEntry:
    entry = JobEntry(
        id="j",
        state="queued",
        spec=SPEC,
        submitted_ms=0,
        started_ms=None,
        finished_ms=None,
        cancel=None,
        error=None,
        batches=list(batches),
    )
    return replace(entry, **changes)


def _shown(job: JobEntry, now_ms: int = 5000) -> dict[str, Any]:
    return show_job(job, now_ms)


def test_a_queued_job_is_all_pending_and_measured_up_to_now() -> None:
    shown = _shown(_job(_batch()))
    assert shown["progress"]["pending"] == 10
    assert shown["timing"]["queue_s"] == 5.0
    assert shown["timing"]["wall_s"] is None
    assert shown["timing"]["parallelism"] is None
    assert (shown["sum"], shown["sum_text"]) == (None, None)
    assert shown["links"]["cancel"] == "/v1/jobs/j/cancel"


def test_progress_always_adds_up_to_the_total() -> None:
    running = _batch(state="running", tally=Tally({"succeeded": 3, "failed": 1}, running=4))
    shown = _shown(_job(running, state="running", started_ms=1000))
    assert shown["progress"] == {
        "total": 10,
        "pending": 2,
        "running": 4,
        "succeeded": 3,
        "failed": 1,
        "timeout": 0,
        "crashed": 0,
        "cancelled": 0,
    }


def test_more_tasks_said_to_run_than_are_left_are_not_shown() -> None:
    running = _batch(state="running", tally=Tally({"succeeded": 8}, running=4))
    progress = _shown(_job(running))["progress"]
    assert (progress["running"], progress["pending"]) == (2, 0)


def test_items_without_a_record_get_the_state_that_their_batch_ended_with() -> None:
    timed_out = _batch(state="failed", rest="timeout", tally=Tally({"succeeded": 4}))
    cancelled = _batch(state="cancelled", rest="cancelled")
    progress = _shown(_job(timed_out, cancelled))["progress"]
    assert progress["timeout"] == 6
    assert progress["cancelled"] == 10
    assert progress["pending"] == 0


@given(st.lists(st.lists(st.integers() | st.floats(allow_nan=False, allow_infinity=False))))
def test_the_sum_over_batches_is_exact_however_the_items_were_split(
    parts: list[list[int | float]],
) -> None:
    whole, texts = ExactSum(), []
    for part in parts:
        one = ExactSum()
        for value in part:
            one.add(value)
            whole.add(value)
        texts.append(one.text())
    assert add_sums(texts).value() == whole.value()


def test_parallelism_is_task_time_over_wall_time_and_no_speedup_is_shown() -> None:
    done = _batch(
        state="succeeded",
        started_ms=1000,
        finished_ms=3000,
        tally=Tally({"succeeded": 10}, wall_s=8.0, cpu_s=2.0),
        report=Report(startup_s=0.25, wall_s=1.75, effective_concurrency=4),
    )
    job = _job(done, state="succeeded", started_ms=1000, finished_ms=3000)
    timing = _shown(job)["timing"]
    assert timing["wall_s"] == 2.0
    assert timing["parallelism"] == 4.0
    assert timing["cpu_parallelism"] == 1.0
    assert timing["startup_s"] == 0.25
    assert timing["overhead_s"] == 0.25
    assert "speedup" not in repr(_shown(job))
    assert timing["finished_at"] == "1970-01-01T00:00:03.000Z"


def test_the_shared_sum_says_per_batch_what_was_observed_and_in_all_what_was_lost() -> None:
    first = _batch(report=Report(observed=0, closing_sum="10", partial=False))
    second = _batch(index=1, report=Report(observed=3.5, closing_sum="9/2", partial=True))
    third = _batch(index=2)
    job = _job(first, second, third, spec=replace(SPEC, shared_sum="global"))
    assert _shown(job)["shared_sum"] == {
        "strategy": "global",
        "observed": [0, 3.5, None],
        "lost": 11.0,
        "partial": True,
    }
    shown = [batch["shared_sum"] for batch in _shown(job)["batches"]]
    assert shown[0] == {"observed": 0, "lost": 10, "partial": False}
    assert shown[2] == {"observed": None, "lost": None, "partial": False}


def test_equal_pids_on_two_hosts_are_two_processes() -> None:
    here = _batch(epochs=[_epoch()], tally=Tally(pids=[7, 8], pids_total=2))
    again = _batch(index=1, epochs=[_epoch()], tally=Tally(pids=[7], pids_total=1))
    there = _batch(
        index=2, epochs=[_epoch(host="b2", worker="w2")], tally=Tally(pids=[7], pids_total=1)
    )
    shown = _shown(_job(here, again, there))
    assert sorted(shown["pids"]) == [7, 7, 8]
    assert shown["pids_total"] == 3
    assert shown["workers"] == ["w1", "w2"]


def test_lists_of_pids_and_workers_are_capped_and_their_totals_are_not() -> None:
    batches = [
        _batch(
            index=number,
            epochs=[_epoch(worker=f"w{number}", host=f"h{number}")],
            tally=Tally(pids=[number], pids_total=1),
        )
        for number in range(1500)
    ]
    shown = _shown(_job(*batches))
    assert (len(shown["pids"]), shown["pids_total"]) == (1000, 1500)
    assert (len(shown["workers"]), shown["workers_total"]) == (1000, 1500)


def test_a_summary_has_no_batches_and_the_job_has() -> None:
    job = _job(_batch(parked="no live worker"))
    assert "batches" not in show_summary(job, 0)
    assert _shown(job)["batches"][0]["parked"] == "no live worker"
    assert "count" not in _shown(job)["spec"]


def test_a_job_with_missing_records_is_never_shown_as_succeeded() -> None:
    batches = [_batch(state="succeeded", tally=Tally({"succeeded": n})) for n in (10, 3)]
    shown = _shown(_job(*batches, state="succeeded"))
    assert shown["state"] == "failed" and shown["error"]["message"].startswith("7 items")
    assert [batch["state"] for batch in shown["batches"]] == ["succeeded", "failed"]

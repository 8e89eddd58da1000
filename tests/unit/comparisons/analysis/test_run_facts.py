"""The facts of a run, from its records and batches."""

import json
from dataclasses import replace

import pytest

from batchpool.comparisons.analysis.run_facts import (
    BatchRun,
    JobRun,
    TaskRun,
    baseline_times,
    checksum,
    run_facts,
)
from batchpool.ledger.values.comparison_entries import BaselineTime

BATCH = BatchRun(
    index=0,
    worker="w0",
    host="h0",
    python="3.14.0",
    gil=True,
    epochs=1,
    effective_concurrency=2,
    pool="fresh",
    start_method=None,
    queue_s=0.005,
    wall_s=0.53,
    begin_s=0.01,
    ready_s=0.02,
    end_s=0.525,
    closed_s=0.529,
    usage={"cpu_s": 0.2, "peak_pss_bytes": 1000, "throttled_s": 0.0, "load_1m": 1.0, "quota": 1.5},
    cpus=2,
)


def _task(index: int, batch: int = 0, offset_s: float = 0.02, value: object = 1) -> TaskRun:
    return TaskRun(index, "succeeded", value, batch, offset_s, 0.5, 0.1)


JOB = JobRun("succeeded", 0.53, 0.005, "thread-pool", [BATCH])
ALONE = dict.fromkeys(range(4), BaselineTime(0.4, 0.1))


def test_facts_of_a_run_are_json_and_add_up() -> None:
    facts = run_facts(JOB, [_task(1), _task(0)], ALONE).to_json()
    assert json.loads(json.dumps(facts)) == facts
    parts = facts["parts"]
    assert parts["waiting"] == pytest.approx(0.3)
    assert parts["contention"] == pytest.approx(0.1)
    assert parts["close"] == pytest.approx(0.009)
    assert parts["unaccounted"] == pytest.approx(0.001)
    assert sum(parts.values()) == pytest.approx(0.53)
    assert facts["per_task"] == pytest.approx(
        {"wall": 0.5, "cpu": 0.1, "waiting": 0.3, "contention": 0.1}
    )
    assert facts["max_in_flight"] == 2
    assert facts["alone_s"] == pytest.approx({"wall": 0.8, "cpu": 0.2})


def test_the_cpus_are_those_of_the_quota_once_per_host() -> None:
    other = replace(BATCH, index=1, worker="w1")
    far = replace(BATCH, index=2, host="h1", worker="w2", usage=None)
    tasks = [_task(0), _task(2, 1), _task(4, 2)]
    facts = run_facts(replace(JOB, batches=[BATCH, other, far]), tasks, None)
    assert facts.cpus == 1.5 + 2
    assert facts.hosts == ["h0", "h1"]
    assert facts.peak_pss_bytes == 2000
    assert facts.cpu_s == pytest.approx(0.4)
    assert facts.alone_s is None


def test_batches_that_overlap_are_counted_together_on_one_clock() -> None:
    late = replace(BATCH, index=1, queue_s=0.405)
    facts = run_facts(replace(JOB, batches=[BATCH, late]), [_task(0), _task(1, 1)], None)
    assert facts.max_in_flight == 2
    later = replace(late, queue_s=0.805)
    facts = run_facts(replace(JOB, batches=[BATCH, later]), [_task(0), _task(1, 1)], None)
    assert facts.max_in_flight == 1


def test_the_wait_for_the_slowest_batchs_claim_is_part_of_the_load() -> None:
    late = replace(BATCH, index=1, queue_s=0.105)
    job = replace(JOB, wall_s=0.63, batches=[BATCH, late])
    facts = run_facts(job, [_task(0), _task(1, 1)], ALONE)
    assert facts.parts.load == pytest.approx(0.11)
    assert facts.parts.unaccounted == pytest.approx(0.001)


def test_a_batch_that_was_taken_over_has_no_parts() -> None:
    facts = run_facts(replace(JOB, batches=[replace(BATCH, epochs=2)]), [_task(0)], ALONE)
    assert facts.parts is None
    assert facts.epochs_max == 2


def test_checksums_differ_by_value_index_and_state() -> None:
    sums = {
        checksum([_task(0), _task(1)]),
        checksum([_task(0), _task(2)]),
        checksum([_task(0), _task(1, value=2)]),
        checksum([_task(0), _task(1)._replace(state="failed")]),
        checksum([_task(0)]),
    }
    assert len(sums) == 5


def test_checksums_do_not_depend_on_order_or_place() -> None:
    value = {"a": 1, "b": [2.5]}
    one = [_task(0, value=value), _task(1)]
    other = [_task(1)._replace(offset_s=9.0, batch=3), _task(0, value={"b": [2.5], "a": 1})]
    facts = [run_facts(replace(JOB, batches=[]), tasks, None) for tasks in (one, other)]
    assert facts[0].checksum == facts[1].checksum


def test_of_several_baseline_runs_the_shortest_wait_of_each_task_counts() -> None:
    delayed = _task(0)._replace(wall_s=0.9)
    assert baseline_times([delayed, _task(1)], [_task(0)]) == dict.fromkeys(
        range(2), BaselineTime(0.5, 0.1)
    )
    assert baseline_times([_task(0)._replace(state="failed")]) == {}

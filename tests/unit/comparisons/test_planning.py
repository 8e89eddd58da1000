"""From a request to arms, a reference and the order of all runs."""

from collections import Counter
from typing import Any

import pytest

from batchpool.comparisons.admission import admit_comparison
from batchpool.comparisons.duration import LeastTime, expected_s, known_wait_s, least_s
from batchpool.comparisons.planning import (
    BASELINE_ARM,
    arm_name,
    arm_spec,
    due_runs,
    plan_runs,
    run_job_id,
)
from batchpool.jobs.fleet import Fleet
from batchpool.jobs.refusals import NoWorkerSeen
from batchpool.ledger.values.announcements import LiveWorker, WorkerCapabilities
from batchpool.ledger.values.comparison_entries import ComparisonSpec
from batchpool.schemas.comparison_requests import ComparisonRequest
from batchpool.schemas.reading import read_model
from batchpool.schemas.refusals import InvalidFields
from tests.integration import conftest as documents


def capabilities(**changes: Any) -> WorkerCapabilities:
    return WorkerCapabilities.from_json(documents.capabilities(**changes))


def worker_document(**changes: Any) -> LiveWorker:
    return LiveWorker.from_json(documents.worker_document(**changes))


ARMS = [{"backend": "sequential"}, {"backend": "thread-pool", "concurrency": 4}]
BODY = {"task": "sleep", "params": {"seconds": 0.1}, "count": 8, "arms": ARMS}
WORKERS = [worker_document(name=f"w{n}") for n in range(8)]
FLEET = Fleet([capabilities()], WORKERS)


def admit(change: dict[str, Any] | None = None, fleet: Fleet = FLEET) -> ComparisonSpec:
    body = {**BODY, **(change or {})}
    order = read_model(ComparisonRequest, {k: v for k, v in body.items() if v is not None})
    return admit_comparison(order, fleet, 1000, lambda: 7).spec


def refused(change: dict[str, Any], fleet: Fleet = FLEET) -> dict[str, str]:
    with pytest.raises(InvalidFields) as caught:
        admit(change, fleet)
    return {error.field: error.message for error in caught.value.errors}


def test_arms_are_filled_in_and_named() -> None:
    spec = admit()
    assert [arm.name for arm in spec.arms] == ["sequential", "thread-pool 4"]
    assert spec.arms[1].dispatch == "map" and spec.arms[1].pool == "warm"
    assert (spec.rounds, spec.warmup, spec.seed, spec.min_effect) == (10, 1, 7, 0.03)
    assert spec.reference == 0
    assert spec.params == {"seconds": 0.1}


def test_names_have_no_more_fields_than_distinguish_the_arms() -> None:
    pool = {"backend": "process-pool", "concurrency": 2}
    arms = [
        pool,
        pool | {"dispatch": "submit"},
        pool | {"batches": 2},
        pool | {"batches": 2, "pool": "fresh"},
        {"backend": "threading", "concurrency": 3},
        {"backend": "threading", "concurrency": 3},
        {"backend": "threading", "concurrency": 3, "name": "mine"},
    ]
    assert [arm.name for arm in admit({"arms": arms}).arms] == [
        "process-pool 2 map",
        "process-pool 2 submit",
        "process-pool 2 x 2 warm",
        "process-pool 2 x 2 fresh",
        "threading 3 #1",
        "threading 3 #2",
        "mine",
    ]


def test_names_take_the_fewest_fields_that_distinguish_all_arms() -> None:
    pool = {"backend": "process-pool", "concurrency": 2}
    sizes = [1, 2, 3]
    arms = [pool | {"chunksize": n, "pool": "fresh" if n == 1 else "warm"} for n in sizes]
    named = [
        {"backend": "threading", "concurrency": 2},
        {"backend": "threading", "name": "threading 2"},
    ]
    assert [arm.name for arm in admit({"arms": [*arms, *named]}).arms] == [
        "process-pool 2 chunks of 1",
        "process-pool 2 chunks of 2",
        "process-pool 2 chunks of 3",
        "threading 2 #1",
        "threading 2",
    ]


def test_a_grid_keeps_what_has_as_many_tasks_in_flight() -> None:
    grid = {
        "backend": ["thread-pool", "sequential"],
        "concurrency": [1, 2, 4, 8],
        "batches": [1, 2, 4, 8],
        "in_flight": 8,
    }
    arms = admit({"arms": None, "grid": grid}).arms
    shapes = [(arm.backend, arm.batches, arm.concurrency) for arm in arms]
    assert sorted(shapes) == [
        ("sequential", 8, 1),
        ("thread-pool", 1, 8),
        ("thread-pool", 2, 4),
        ("thread-pool", 4, 2),
        ("thread-pool", 8, 1),
    ]


def test_a_grid_leaves_out_what_a_backend_does_not_have() -> None:
    grid = {"backend": ["threading", "thread-pool"], "concurrency": [2], "dispatch": ["map"]}
    arms = admit({"arms": None, "grid": grid}).arms
    assert [(arm.backend, arm.dispatch) for arm in arms] == [
        ("threading", None),
        ("thread-pool", "map"),
    ]


@pytest.mark.parametrize(("given", "index"), [("thread-pool 4", 1), (1, 1), (None, 0)])
def test_the_reference_goes_by_name_or_index(given: Any, index: int) -> None:
    assert admit({"reference": given}).reference == index


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"arms": ARMS[:1]}, "arms", "must have 2 to 20"),
        ({"arms": [1, 2]}, "arms.0", "object"),
        ({"arms": [*ARMS, {"backend": "forkbomb"}]}, "arms.2.backend", "known: sequential"),
        ({"arms": [*ARMS, {"backend": "auto"}]}, "arms.2.backend", "chooses how it runs"),
        ({"arms": [*ARMS, {"backend": "threading", "pool": "warm"}]}, "arms.2.pool", "no pool"),
        ({"arms": [*ARMS, {"backend": "interpreter-pool"}]}, "arms.2.backend", "seen: Python 3.11"),
        ({"arms": [*ARMS, {"backend": "threading", "batches": 9}]}, "arms.2.batches", "at most 8"),
        ({"arms": [{**arm, "name": "x"} for arm in ARMS]}, "arms", "names must differ"),
        ({"arms": None}, "arms", "exactly one"),
        ({"grid": {"backend": ["sequential"]}}, "arms", "exactly one"),
        ({"arms": None, "grid": {"backend": ["sequential"]}}, "grid", "2 to 20 different arms"),
        ({"arms": None, "grid": {"backend": [[]]}}, "grid.backend", "string"),
        ({"arms": None, "grid": {"backend": 1}}, "grid.backend", "list of 1 to 20"),
        ({"arms": None, "grid": {"backend": ["x"], "speed": 1}}, "grid.speed", "unknown field"),
        ({"rounds": 5}, "rounds", "must be 6 to 100"),
        ({"rounds": 67}, "rounds", "201 runs; at most 200"),
        ({"rounds": 0}, "rounds", "must be at least 1"),
        ({"warmup": 6}, "warmup", "must be at most 5"),
        ({"seed": True}, "seed", "whole number"),
        ({"min_effect": 1}, "min_effect", "less than 1"),
        ({"reference": "nobody"}, "reference", "'sequential', 'thread-pool 4'"),
        ({"reference": 2}, "reference", "unknown arm"),
        ({"reference": -1}, "reference", "unknown arm"),
        ({"reference": True}, "reference", "name of an arm"),
        ({"task": "nope"}, "task", "known: cpu"),
        ({"params": {"seconds": -1}}, "params.seconds", "must be at least 0"),
        ({"count": 100_001}, "count", "100000"),
        ({"items": [1]}, "count", "exactly one of `count`"),
        ({"measure": True}, "measure", "unknown field"),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value)[:30],
)
def test_a_field_out_of_bounds_is_named(change: dict[str, Any], field: str, says: str) -> None:
    errors = refused(change)
    assert list(errors) == [field]
    assert says in errors[field]


def test_an_arm_wider_than_the_live_workers_is_refused_with_their_number() -> None:
    arms = [*ARMS, {"backend": "threading", "batches": 4, "concurrency": 2}]
    few = Fleet(FLEET.classes, WORKERS[:3])
    assert "needs 4 workers" in refused({"arms": arms}, few)["arms"]
    # Those that another comparison has reserved will be back.
    busy = [worker_document(name=f"r{n}", **{"class": f"c311~x~{n}"}) for n in range(2)]
    assert admit({"arms": arms}, Fleet(FLEET.classes, [*WORKERS[:2], *busy]))
    drain = [worker_document(name=f"w{n}", state="draining") for n in range(4)]
    assert (
        "live workers that can run all arms: 0" in refused({}, Fleet(FLEET.classes, drain))["arms"]
    )


def test_all_arms_need_one_class_that_can_run_them_all() -> None:
    old = capabilities()
    new = capabilities(id="c314", python="3.14", backends=["interpreter-pool", "thread-pool"])
    workers = [worker_document(), worker_document(name="n", **{"class": "c314"})]
    fleet = Fleet([old, new], workers)
    mixed = [{"backend": "sequential"}, {"backend": "interpreter-pool"}]
    assert "no single class" in refused({"arms": mixed}, fleet)["arms"]


def test_without_any_known_worker_it_is_unavailable() -> None:
    with pytest.raises(NoWorkerSeen):
        admit({}, Fleet([], []))


def test_each_round_has_every_arm_and_the_control_once_in_an_order_of_its_own() -> None:
    plan = plan_runs(admit())
    assert [run.number for run in plan] == list(range(len(plan)))
    assert Counter(run.kind for run in plan) == {"warmup": 2, "sample": 30}
    orders = [
        tuple(run.arm for run in plan if run.kind == "sample" and run.round == round_)
        for round_ in range(1, 11)
    ]
    assert {tuple(sorted(order)) for order in orders} == {(0, 1, 2)}
    assert len(set(orders)) > 2
    assert plan == plan_runs(admit())
    assert plan != plan_runs(admit({"seed": 8}))


def test_a_baseline_run_comes_first_where_no_warm_up_is_one() -> None:
    pools = [{"backend": "thread-pool", "concurrency": n} for n in (2, 4)]
    for change in ({"arms": pools}, {"warmup": 0}):
        first, *rest = plan_runs(admit(change))
        assert (first.kind, first.arm) == ("solo", BASELINE_ARM)
        assert all(run.kind != "solo" for run in rest)
        assert arm_spec(admit(change), BASELINE_ARM).backend == "sequential"


def test_a_task_with_an_async_form_alone_is_run_alone_on_asyncio() -> None:
    arms = [{"backend": "asyncio", "concurrency": n} for n in (2, 4)]
    spec = admit({"task": "stream", "params": {}, "arms": arms})
    baseline = arm_spec(spec, BASELINE_ARM)
    assert (baseline.backend, baseline.concurrency) == ("asyncio", 1)


def test_the_control_is_run_like_the_reference() -> None:
    spec = admit({"reference": 1})
    assert arm_spec(spec, 2) == spec.arms[1]
    assert arm_name(spec, 2) == "thread-pool 4 again"


def test_an_arm_that_failed_is_left_out_of_what_is_due() -> None:
    plan = plan_runs(admit())
    assert {run.arm for run in due_runs(plan, 2, {1}, 0)} == {0, 2}
    assert {run.arm for run in due_runs(plan, 2, {0}, 0)} == {1}
    assert next(due_runs(plan, 5, set(), 0)) == plan[5]


def test_the_job_of_a_run_has_the_same_id_in_every_process() -> None:
    ids = {run_job_id("c1", run, attempt) for run in range(3) for attempt in (1, 2)}
    assert len(ids) == 6
    assert all(len(name) == 24 for name in ids)
    assert run_job_id("c1", 0, 1) in ids and run_job_id("c2", 0, 1) not in ids


def test_the_least_time_follows_from_what_the_params_say() -> None:
    spec = admit({"params": {"seconds": 2}})
    assert known_wait_s(spec.params) == 2.0
    # 8 items of 2 s: 16 s one by one, 4 s four at a time; warm-up, 10 rounds, and the control.
    assert least_s(spec, LeastTime(wait_s=2.0)) == 11 * 16 + 10 * 16 + 11 * 4


def test_the_forecast_takes_the_median_time_of_each_arm() -> None:
    plan = plan_runs(admit())
    took = {0: [2.0, 9.0, 1.0], 1: [0.5]}
    assert expected_s(plan[2:], took, 0) == 10 * 2.0 + 10 * 2.0 + 10 * 0.5
    assert expected_s(plan, {0: [1.0]}, 0) is None

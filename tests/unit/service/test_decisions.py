"""What follows from what the reconciler sees."""

from dataclasses import replace
from typing import Any

import pytest

from batchpool.jobs.planning import Requirements
from batchpool.ledger.recovery import Waiting
from batchpool.ledger.values.announcements import (
    LiveWorker,
    TaskCapabilities,
    WorkerCapabilities,
    WorkerState,
)
from batchpool.reconciler.policy import (
    LeaseGracePeriod,
    Move,
    Observation,
    Park,
    Requeue,
    RequeuePolicy,
)

GONE_S = 15.0
OLD = WorkerCapabilities(
    id="old",
    python="3.11",
    tasks={"echo": TaskCapabilities(has_sync=True, has_async=True)},
    backends=("thread-pool",),
    start_methods=(),
)
NEW = replace(OLD, id="new")
OTHER = replace(OLD, id="other", tasks={})
BATCH = Waiting("j", 0, "old", 0)


def _worker(class_id: str, state: WorkerState = "idle") -> LiveWorker:
    return LiveWorker(
        name="w",
        host="box",
        pid=1,
        python="3.11",
        gil=True,
        cpus=1,
        class_id=class_id,
        state=state,
    )


QUIET = Observation(
    now_s=0.0,
    waiting=[],
    parked=[],
    queued={},
    popped={},
    classes=[OLD, NEW, OTHER],
    workers=[],
    need_of=lambda job_id: Requirements("echo", "thread-pool"),
)
MISSING = replace(QUIET, waiting=[BATCH], workers=[_worker("old")])


@pytest.fixture
def watch() -> RequeuePolicy:
    return RequeuePolicy(GONE_S)


def test_a_batch_in_its_queue_is_left_alone(watch: RequeuePolicy) -> None:
    view = replace(MISSING, queued={"old": frozenset(["j-0"])})
    assert watch.decide(view) == []
    assert watch.decide(replace(view, now_s=100.0)) == []


def test_a_batch_in_no_queue_is_put_back_after_a_second_and_not_at_once(
    watch: RequeuePolicy,
) -> None:
    assert watch.decide(MISSING) == []
    assert watch.decide(replace(MISSING, now_s=0.9)) == []
    assert watch.decide(replace(MISSING, now_s=1.0)) == [Requeue(BATCH)]


def test_after_a_batch_was_put_back_the_clock_starts_anew(watch: RequeuePolicy) -> None:
    watch.decide(MISSING)
    watch.decide(replace(MISSING, now_s=1.0))
    assert watch.decide(replace(MISSING, now_s=1.5)) == []


def test_a_batch_that_is_seen_in_between_is_not_put_back(watch: RequeuePolicy) -> None:
    watch.decide(MISSING)
    watch.decide(replace(MISSING, now_s=0.5, queued={"old": frozenset(["j-0"])}))
    assert watch.decide(replace(MISSING, now_s=1.2)) == []


def test_a_popped_batch_has_longer_until_its_worker_counts_as_dead(watch: RequeuePolicy) -> None:
    popped = replace(MISSING, popped={"old": frozenset(["j-0"])})
    watch.decide(popped)
    assert watch.decide(replace(popped, now_s=2.0)) == []
    assert watch.decide(replace(popped, now_s=5.0)) == [Requeue(BATCH)]


def test_a_class_without_workers_for_a_moment_keeps_its_batches(watch: RequeuePolicy) -> None:
    queued = {"old": frozenset(["j-0"])}
    view = replace(QUIET, waiting=[BATCH], queued=queued, workers=[_worker("new")])
    assert watch.decide(view) == []
    assert watch.decide(replace(view, now_s=14.9)) == []
    back = replace(view, now_s=15.0, workers=[_worker("old")])
    assert watch.decide(back) == []
    assert watch.decide(replace(view, now_s=16.0)) == []


def test_batches_of_a_class_that_is_gone_move_to_one_that_can_run_them(
    watch: RequeuePolicy,
) -> None:
    view = replace(QUIET, waiting=[BATCH], workers=[_worker("other"), _worker("new")])
    watch.decide(view)
    assert watch.decide(replace(view, now_s=GONE_S)) == [Move(BATCH, "new")]


@pytest.mark.parametrize("workers", [[], [_worker("other")], [_worker("new", "draining")]])
def test_batches_that_nobody_can_run_are_parked_with_the_reason(
    watch: RequeuePolicy, workers: list[dict[str, Any]]
) -> None:
    view = replace(QUIET, waiting=[BATCH], workers=workers)
    watch.decide(view)
    [action] = watch.decide(replace(view, now_s=GONE_S))
    assert isinstance(action, Park)
    assert action.reason == "no live worker can run the task 'echo' on thread-pool"


def test_a_parked_batch_goes_to_the_first_class_that_can_run_it(watch: RequeuePolicy) -> None:
    view = replace(QUIET, parked=[BATCH], workers=[_worker("other")])
    assert watch.decide(view) == []
    assert watch.decide(replace(view, workers=[_worker("old")])) == [Move(BATCH, "old")]


def test_a_job_that_is_gone_needs_nothing(watch: RequeuePolicy) -> None:
    view = replace(QUIET, waiting=[BATCH], parked=[BATCH], need_of=lambda job_id: None)
    view = replace(view, workers=[_worker("other")])
    watch.decide(view)
    assert watch.decide(replace(view, now_s=100.0)) == []


def test_leases_are_not_judged_for_one_lease_after_the_start() -> None:
    hold = LeaseGracePeriod(lease_s=8.0, gap_s=2.0)
    assert [hold.allows(float(second), "run") for second in range(10)] == [False] * 8 + [True] * 2


def test_leases_are_not_judged_for_one_lease_after_a_gap() -> None:
    hold = LeaseGracePeriod(lease_s=3.0, gap_s=2.0)
    for second in range(4):
        allowed = hold.allows(float(second), "run")
    assert allowed
    assert not hold.allows(33.0, "run")
    assert not hold.allows(35.0, "run")
    assert hold.allows(36.0, "run")


def test_leases_are_not_judged_for_one_lease_after_redis_was_started_anew() -> None:
    hold = LeaseGracePeriod(lease_s=2.0, gap_s=2.0)
    assert [hold.allows(float(second), "run") for second in range(3)][-1]
    assert not hold.allows(3.0, "another run")
    assert not hold.allows(4.0, "another run")
    assert hold.allows(5.0, "another run")


def _versions(**codes: str) -> list[WorkerCapabilities]:
    return [
        replace(OLD, id=name, tasks={"echo": replace(OLD.tasks["echo"], code=code)})
        for name, code in codes.items()
    ]


def _bound(view: Observation, code: str | None = "1") -> Observation:
    return replace(view, need_of=lambda job_id: Requirements("echo", "thread-pool", None, code))


GONE = replace(QUIET, waiting=[BATCH], now_s=2 * GONE_S)


def test_a_job_that_has_begun_goes_only_where_its_version_is(watch: RequeuePolicy) -> None:
    elsewhere = replace(GONE, classes=_versions(old="1", new="2"), workers=[_worker("new")])
    watch.decide(replace(_bound(elsewhere), now_s=0.0))
    (park,) = watch.decide(_bound(elsewhere))
    assert isinstance(park, Park) and "has changed since the job began" in park.reason
    assert watch.decide(_bound(elsewhere, None)) == [Move(BATCH, "new", "2")]
    same = replace(elsewhere, classes=_versions(old="1", new="1"))
    assert watch.decide(_bound(same)) == [Move(BATCH, "new", "1")]
    parked = replace(_bound(elsewhere), waiting=[], parked=[BATCH])
    assert watch.decide(parked) == []
    assert watch.decide(_bound(parked, None)) == [Move(BATCH, "new", "2")]


def test_a_batch_never_goes_to_a_class_that_found_itself_unfit(watch: RequeuePolicy) -> None:
    unfit = BATCH._replace(unfit=frozenset(["old", "new"]))
    both = [_worker("new"), _worker("old")]
    assert watch.decide(replace(QUIET, parked=[unfit], workers=both)) == []
    third = replace(QUIET, classes=_versions(third="9"), parked=[unfit], workers=[_worker("third")])
    assert watch.decide(third) == [Move(unfit, "third", "9")]


def test_what_its_class_refused_goes_elsewhere_and_not_round(watch: RequeuePolicy) -> None:
    view = replace(
        MISSING, classes=_versions(old="2", new="1"), workers=[_worker("old"), _worker("new")]
    )
    watch.decide(_bound(view))
    assert watch.decide(replace(_bound(view), now_s=2.0)) == [Move(BATCH, "new", "1")]
    alone = replace(_bound(view), workers=[_worker("old")], now_s=2.0)
    (park,) = watch.decide(alone)
    assert isinstance(park, Park)


def test_what_waits_for_a_forgotten_class_is_moved_at_once(watch: RequeuePolicy) -> None:
    view = replace(QUIET, waiting=[BATCH], queued={"old": frozenset(["j-0"])})
    view = replace(view, workers=[_worker("new")])
    assert watch.decide(view) == []
    assert watch.decide(replace(view, classes=[NEW])) == [Move(BATCH, "new")]

"""Who is blamed for a dead runner, and what is run next."""

from batchpool.ledger.entries import Tally
from batchpool.ledger.ownership import Claim
from batchpool.model import RunSpec
from batchpool.runner.protocol import Assignment
from batchpool.worker.crash_isolation import CRASHES_ALONE, CrashIsolation

RUN = RunSpec("echo")


def claim_of(count: int, done: frozenset[int] = frozenset()) -> Claim:
    return Claim("j", 0, "1:x", 1, RUN, 0, count, False, done, Tally(), 0, 1000)


def test_without_a_crash_there_is_one_assignment_that_closes() -> None:
    plan = CrashIsolation().plan(claim_of(5), 0)
    assert plan.close and plan.only is None and not plan.skip and not plan.crashed


def test_after_a_crash_the_rest_runs_first_then_each_suspect_alone_then_the_end() -> None:
    isolation = CrashIsolation()
    plan = isolation.plan(claim_of(5), 0)
    assert isolation.died(plan, frozenset({1, 3}), 7, "killed by SIGSEGV")

    plan = isolation.plan(claim_of(5), 0)
    assert plan.skip == {1, 3} and not plan.close
    claim = isolation.ran(plan)
    assert claim.done == {0, 2, 4}

    seen = []
    while (plan := isolation.plan(claim, 0)).only is not None:
        seen.append(set(plan.only))
        assert not plan.close
        claim = isolation.ran(plan)
    assert seen == [{1}, {3}]
    assert plan.close and not plan.skip and claim.done == {0, 1, 2, 3, 4}


def test_an_item_is_given_up_after_three_crashes_alone_and_no_neighbour_is_blamed() -> None:
    isolation = CrashIsolation()
    isolation.died(isolation.plan(claim_of(3), 0), frozenset({0, 1}), 7, "killed")
    claim = isolation.ran(isolation.plan(claim_of(3), 0))
    for pid in range(100, 100 + CRASHES_ALONE):
        plan = isolation.plan(claim, 0)
        assert plan.only == {0}
        isolation.died(plan, frozenset({0}), pid, "killed by SIGSEGV")
    plan = isolation.plan(claim, 0)
    assert plan.only == {1}
    plan = isolation.plan(isolation.ran(plan), 0)
    assert [(item.index, item.pid) for item in plan.crashed] == [(0, 102)]
    assert plan.close


def test_a_death_with_nothing_in_flight_blames_nobody() -> None:
    isolation = CrashIsolation()
    assert not isolation.died(isolation.plan(claim_of(3), 0), frozenset(), 7, "killed by SIGKILL")
    plan = isolation.plan(claim_of(3), 0)
    assert plan == Assignment(claim_of(3), 0)


def test_an_item_that_was_recorded_before_its_runner_died_is_no_suspect() -> None:
    isolation = CrashIsolation()
    done = frozenset({2})
    assert not isolation.died(isolation.plan(claim_of(3, done), 0), frozenset({2}), 7, "killed")

"""Who is blamed for a dead runner, and what is run next."""

from dataclasses import replace

from batchpool.ledger.ownership import Claim
from batchpool.ledger.values.job_entries import Tally
from batchpool.model import RunSpec
from batchpool.runner.protocol import Assignment
from batchpool.worker.claimed_batch import ClaimedBatch
from batchpool.worker.crash_isolation import CRASHES_ALONE

RUN = RunSpec("echo")


def claim_of(count: int, done: frozenset[int] = frozenset()) -> Claim:
    return Claim("j", 0, "1:x", 1, RUN, 0, count, False, done, Tally(), 0, 1000)


def batch_of(count: int, done: frozenset[int] = frozenset()) -> ClaimedBatch:
    return ClaimedBatch(claim_of(count, done), 0, 1.0)


def test_without_a_crash_there_is_one_assignment_that_closes() -> None:
    assert batch_of(5).next_assignment() == Assignment(claim_of(5), 0)


def test_after_a_crash_the_rest_runs_first_then_each_suspect_alone_then_the_end() -> None:
    batch = batch_of(5)
    batch.next_assignment()
    assert batch.mark_crashed(frozenset({1, 3}), 7, "killed by SIGSEGV")

    assignment = batch.next_assignment()
    assert assignment.skip == {1, 3} and not assignment.close
    batch.mark_run()
    assert batch.claim.done == {0, 2, 4}

    seen = []
    while (assignment := batch.next_assignment()).only is not None:
        seen.append(set(assignment.only))
        assert not assignment.close
        batch.mark_run()
    assert seen == [{1}, {3}]
    assert assignment.close and not assignment.skip and batch.claim.done == {0, 1, 2, 3, 4}


def test_what_ran_when_a_worker_died_runs_together_after_the_rest_and_before_suspects() -> None:
    claim = replace(claim_of(6, frozenset({0})), in_flight=frozenset({0, 1, 2}))
    batch = ClaimedBatch(claim, 0, 1.0)
    assignment = batch.next_assignment()
    assert (assignment.skip, assignment.close) == ({1, 2}, False)
    assert batch.in_flight([3]) == "[1, 2, 3]", "whoever is next is to put them off too"
    batch.mark_crashed(frozenset({3}), 7, "killed")
    assert batch.next_assignment().skip == {1, 2, 3}
    batch.mark_run()
    assignment = batch.next_assignment()
    assert (assignment.skip, assignment.only, assignment.close) == ({3}, None, False)
    batch.mark_run()
    assert batch.next_assignment().only == {3}
    assert batch.in_flight([]) == "[3]"


def test_nothing_is_put_off_where_nothing_else_is_left() -> None:
    claim = replace(claim_of(3, frozenset({0})), in_flight=frozenset({1, 2}))
    assert ClaimedBatch(claim, 0, 1.0).next_assignment() == Assignment(claim, 0)


def test_an_item_is_given_up_after_three_crashes_alone_and_no_neighbour_is_blamed() -> None:
    batch = batch_of(3)
    batch.next_assignment()
    batch.mark_crashed(frozenset({0, 1}), 7, "killed")
    batch.next_assignment()
    batch.mark_run()
    for pid in range(100, 100 + CRASHES_ALONE):
        assert batch.next_assignment().only == {0}
        batch.mark_crashed(frozenset({0}), pid, "killed by SIGSEGV")
    assert batch.next_assignment().only == {1}
    batch.mark_run()
    assignment = batch.next_assignment()
    assert [(item.index, item.pid) for item in assignment.crashed] == [(0, 102)]
    assert assignment.close


def test_a_death_with_nothing_in_flight_blames_no_item() -> None:
    batch = batch_of(3)
    batch.next_assignment()
    assert not batch.mark_crashed(frozenset(), 7, "killed by SIGKILL")
    assert batch.next_assignment() == Assignment(claim_of(3), 0)


def test_an_item_that_was_recorded_before_its_runner_died_is_no_suspect() -> None:
    batch = batch_of(3, frozenset({2}))
    batch.next_assignment()
    assert not batch.mark_crashed(frozenset({2}), 7, "killed")


def test_a_new_claim_replaces_the_old_one_and_keeps_the_suspects() -> None:
    batch = batch_of(3)
    batch.next_assignment()
    batch.mark_crashed(frozenset({1}), 7, "killed")
    batch.renew(claim_of(3, frozenset({0})), 5)
    assignment = batch.next_assignment()
    assert (assignment.claim.done, assignment.claimed_ns) == ({0}, 5)
    assert assignment.skip == {1}

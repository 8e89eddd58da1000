"""A worker takes a message and claims its batch in one step, whoever else waits or dies."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError
from rq.exceptions import StopRequested

from batchpool.ledger import keys
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.ownership import Claim, Ending, new_nonce
from batchpool.ledger.recovery import Recovery
from batchpool.ledger.reservations import WorkerSlot
from batchpool.ledger.values.job_entries import NewJob, Owner
from batchpool.queue.messages import Reserve
from batchpool.queue.rq_queue import enqueue_commands, pop, pop_command, queued_ids, send
from batchpool.worker.message_source import MessageSource
from batchpool.worker.next_claim import NOT_TRIED, NextClaim, Taken
from tests.support.job_specs import job_spec

CLASS = "c"
OWNER = Owner(worker="w", host="h", pid=2, ppid=1, python="3.11", gil=True)
IDS = [digit * 24 for digit in "abcd"]


def submit(redis: Redis, job_id: str = IDS[0], batches: int = 1) -> None:
    ranges = [(at, 1) for at in range(batches)]
    new = NewJob(job_id, job_spec(), ranges, None, CLASS, 60, 60, 60)
    Jobs(redis).create(new, enqueue_commands(CLASS, [(job_id, at) for at in range(batches)]))


def take_next(redis: Redis, wait_s: float = 5, nonce: str = "") -> Taken:
    pop_words, popped = pop_command(CLASS, wait_s)
    return NextClaim(redis, 8).claim_next(pop_words, popped, OWNER, "", nonce or new_nonce())


def source(redis: Redis, owner: Callable[[], Owner | None] = lambda: OWNER) -> MessageSource:
    return MessageSource(redis, NextClaim(redis, 8), NextClaim(redis, 8), owner, str, bool)


@pytest.fixture(autouse=True)
def known_script(redis: Redis) -> None:
    """The server knows the script, as after the first claim of any worker."""
    NextClaim(redis, 8).claim_lost("", OWNER, new_nonce())


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def until_blocked(redis: Redis, count: int) -> None:
    deadline = time.monotonic() + 10
    while redis.info("clients")["blocked_clients"] < count:
        assert time.monotonic() < deadline


def test_a_batch_is_claimed_as_it_comes_and_leaves_the_queue(
    redis: Redis, pool: ThreadPoolExecutor
) -> None:
    waiting = pool.submit(take_next, redis)
    until_blocked(redis, 1)
    submit(redis)
    taken = waiting.result()
    assert taken.popped == taken.message.encode() == f"{IDS[0]}-0".encode()
    assert isinstance(taken.claim, Claim) and taken.claim.job_id == IDS[0]
    assert queued_ids(redis, CLASS) == (frozenset(), frozenset())
    job = Jobs(redis).load(IDS[0])
    assert job and job.batches[0].state == "running"


def test_of_two_that_wait_each_claims_what_it_has_popped(
    redis: Redis, pool: ThreadPoolExecutor
) -> None:
    waiting = [pool.submit(take_next, redis) for _ in range(2)]
    until_blocked(redis, 2)
    submit(redis, batches=2)
    found = [each.result() for each in waiting]
    assert sorted(each.message for each in found) == [f"{IDS[0]}-0", f"{IDS[0]}-1"]
    assert all(each.popped == each.message.encode() for each in found)
    assert queued_ids(redis, CLASS) == (frozenset(), frozenset())


def test_what_another_has_popped_and_not_claimed_is_taken_first(redis: Redis) -> None:
    submit(redis, IDS[0])
    assert pop(redis, CLASS, 1) == f"{IDS[0]}-0"
    submit(redis, IDS[1])
    taking = source(redis)
    first, second = taking.take(CLASS, 1, True), taking.take(CLASS, 1, True)
    assert first and first.claim and first.claim[0].job_id == IDS[0]
    assert second and (second.id, second.claim) == (f"{IDS[1]}-0", None)


@pytest.mark.parametrize("ended", [True, False])
def test_a_message_of_no_use_is_dropped(redis: Redis, ended: bool) -> None:
    if ended:
        submit(redis)
        Jobs(redis).cancel(IDS[0])
    else:
        redis.rpush(f"rq:queue:{keys.QUEUE}{CLASS}", f"{IDS[0]}-0")
    taken = take_next(redis)
    assert taken.claim == ("cancelled" if ended else "missing")
    assert taken.message == f"{IDS[0]}-0"
    assert queued_ids(redis, CLASS) == (frozenset(), frozenset())


def test_other_messages_come_as_they_are(redis: Redis) -> None:
    send(redis, CLASS, Reserve(WorkerSlot(IDS[0], 0, "n")))
    taken = take_next(redis)
    assert (taken.message, taken.claim) == ("", "no batch")
    assert taken.popped == f"{IDS[0]}_0_reserve".encode()


def test_a_server_that_has_forgotten_the_script_gives_the_message(redis: Redis) -> None:
    redis.script_flush()
    submit(redis)
    assert take_next(redis) == Taken(f"{IDS[0]}-0".encode(), "", NOT_TRIED)
    assert queued_ids(redis, CLASS)[1] == {f"{IDS[0]}-0"}
    # A worker has it know the script before it waits.
    redis.script_flush()
    found = source(redis).take(CLASS, 0.1, True)
    assert found and found.claim and found.claim[0].job_id == IDS[0]


def test_a_claim_whose_answer_was_lost_is_found_again(redis: Redis) -> None:
    submit(redis)
    lost: list[Taken] = []

    class Unanswered(NextClaim):
        def claim_next(self, *args: Any) -> Taken:
            lost.append(super().claim_next(*args))
            raise ConnectionError("the answer is lost")

    ledger = NextClaim(redis, 8)
    taking = MessageSource(redis, ledger, Unanswered(redis, 8), lambda: OWNER, str, bool)
    with pytest.raises(ConnectionError):
        taking.take(CLASS, 1, True)
    found = taking.take(CLASS, 1, True)
    (first,) = lost
    assert found and found.claim and isinstance(first.claim, Claim)
    assert found.claim[0].token == first.claim.token
    assert ledger.end(found.claim[0], Ending("failed", {}, "cancelled"))
    _, popped = pop_command(CLASS, 1)
    nonce = first.claim.token.partition(":")[2]
    assert ledger.claim_lost(popped, OWNER, nonce).claim == "no batch"


class Interrupted(NextClaim):
    """A signal comes when the batch is claimed, and its handler raises."""

    def claim_next(self, *args: Any) -> Taken:
        assert isinstance(super().claim_next(*args).claim, Claim)
        raise StopRequested


def test_a_claim_that_a_signal_interrupted_is_given_back(redis: Redis) -> None:
    submit(redis)
    ledger = NextClaim(redis, 8)
    taking = MessageSource(redis, ledger, Interrupted(redis, 8), lambda: OWNER, str, bool)
    with pytest.raises(StopRequested):
        taking.take(CLASS, 1, True)
    taking.give_back()
    job = Jobs(redis).load(IDS[0])
    assert job and job.batches[0].state == "queued"
    taking.give_back()
    # Another one runs it, and keeps it.
    claim = ledger.claim(IDS[0], 0, OWNER)
    assert isinstance(claim, Claim)
    taking.give_back()
    assert ledger.renew(claim).is_owner


def test_after_a_signal_no_message_is_taken_and_a_lost_claim_is_given_back(redis: Redis) -> None:
    submit(redis)
    told: list[bool] = []

    class Unanswered(NextClaim):
        def claim_next(self, *args: Any) -> Taken:
            assert isinstance(super().claim_next(*args).claim, Claim)
            raise ConnectionError("the answer is lost")

    ledger, waiting = NextClaim(redis, 8), Unanswered(redis, 8)
    taking = MessageSource(redis, ledger, waiting, lambda: OWNER, str, lambda: bool(told))
    with pytest.raises(ConnectionError):
        taking.take(CLASS, 1, True)
    submit(redis, IDS[1])
    told.append(True)
    assert taking.take(CLASS, 1, True) is None
    assert queued_ids(redis, CLASS)[0] == {f"{IDS[1]}-0"}
    taking.give_back()
    job = Jobs(redis).load(IDS[0])
    assert job and job.batches[0].state == "queued"


def test_a_claim_that_is_being_run_is_not_given_back(redis: Redis) -> None:
    submit(redis)
    taking = source(redis)
    found = taking.take(CLASS, 1, True)
    taking.give_back()
    assert found and found.claim and NextClaim(redis, 8).renew(found.claim[0]).is_owner


class Frozen(NextClaim):
    """Its process is stopped while an answer is under way, for longer than its lease of 0.4 s."""

    def __init__(self, redis: Redis, meanwhile: Callable[[], None]) -> None:
        super().__init__(redis, 0.4)
        exchange = self._exchange

        def slow_exchange(*commands: Any) -> list[Any]:
            answers = exchange(*commands)
            time.sleep(0.5)
            meanwhile()
            return answers

        self._exchange = slow_exchange  # type: ignore[assignment]


def take_over(redis: Redis) -> None:
    assert Recovery(redis).expire_leases()
    assert isinstance(NextClaim(redis, 8).claim(IDS[0], 0, OWNER), Claim)


@pytest.mark.parametrize("is_lost", [True, False])
def test_a_claim_that_may_be_too_old_is_verified(redis: Redis, is_lost: bool) -> None:
    submit(redis)
    frozen = Frozen(redis, (lambda: take_over(redis)) if is_lost else lambda: None)
    taking = MessageSource(redis, NextClaim(redis, 8), frozen, lambda: OWNER, str, bool)
    found = taking.take(CLASS, 1, True)
    if is_lost:
        assert found is None
    else:
        assert found and found.claim and NextClaim(redis, 8).renew(found.claim[0]).is_owner


def test_the_message_beside_a_lost_claim_is_kept(redis: Redis) -> None:
    submit(redis, IDS[0])
    pop(redis, CLASS, 1)
    submit(redis, IDS[1])
    frozen = Frozen(redis, lambda: take_over(redis))
    taking = MessageSource(redis, NextClaim(redis, 8), frozen, lambda: OWNER, str, bool)
    found = taking.take(CLASS, 1, True)
    assert found and (found.id, found.claim) == (f"{IDS[1]}-0", None)


def test_a_worker_without_a_runner_takes_the_message_alone(redis: Redis) -> None:
    submit(redis)
    found = source(redis, lambda: None).take(CLASS, 1, True)
    assert found and (found.id, found.claim) == (f"{IDS[0]}-0", None)
    assert queued_ids(redis, CLASS)[1] == {f"{IDS[0]}-0"}

"""Slots of a comparison and the count of claims on reserved hosts, on a real Valkey."""

from typing import Any

import pytest
from redis import Redis

from batchpool.ledger import keys
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.ownership import Claim, Ownership
from batchpool.ledger.reservations import Reservations, WorkerSlot
from batchpool.ledger.values.job_entries import NewJob
from tests.support.job_specs import job_spec

HOLDER = {"worker": "w1", "host": "h1", "cpus": 2, "pid": 7, "python": "3.11", "gil": True}


@pytest.fixture
def reservations(redis: Redis) -> Reservations:
    redis.hset(keys.comparison_key("c"), "state", "running")
    return Reservations(redis)


def offered(reservations: Reservations, slot: int = 0) -> WorkerSlot:
    offer = reservations.request("c", slot)
    assert offer
    return offer


def make_job(redis: Redis, job_id: str = "j", batches: int = 1, **spec: Any) -> Any:
    ranges = [(index, 1) for index in range(batches)]
    new = NewJob(job_id, job_spec(**spec), ranges, None, "c", 60, 60, 60)
    return Jobs(redis).create(new)


def claim(redis: Redis, host: str, batch: int = 0, follows: Claim | None = None) -> Claim:
    owner = {"worker": "w", "host": host, "pid": 2, "ppid": 1, "python": "3.11", "gil": True}
    found = Ownership(redis).claim("j", batch, owner, follows)
    assert isinstance(found, Claim)
    return found


def test_an_offered_slot_is_taken_by_the_first_worker_with_the_message(
    reservations: Reservations,
) -> None:
    offer = offered(reservations)
    assert reservations.holder("c", 0) is None
    assert reservations.take(offer, HOLDER)
    assert not reservations.take(offer, HOLDER | {"worker": "w2"})
    holder = reservations.holder("c", 0)
    assert holder and holder["worker"] == "w1" and holder["nonce"] == offer.nonce and holder["ms"]
    assert reservations.is_current(offer)


def test_a_take_whose_answer_was_lost_is_answered_again(reservations: Reservations) -> None:
    offer = offered(reservations)
    assert [reservations.take(offer, HOLDER) for _ in range(3)] == [True] * 3


def test_a_message_of_a_withdrawn_offer_takes_nothing(reservations: Reservations) -> None:
    old, new = offered(reservations), offered(reservations)
    assert not reservations.take(old, HOLDER)
    assert reservations.take(new, HOLDER)
    assert not reservations.take(WorkerSlot("c", 1, new.nonce), HOLDER)


def test_a_slot_that_is_offered_again_no_longer_belongs_to_its_old_holder(
    reservations: Reservations,
) -> None:
    old = offered(reservations)
    reservations.take(old, HOLDER)
    new = offered(reservations)
    assert not reservations.is_current(old)
    assert not reservations.take(old, HOLDER), "its own old message gives it no right"
    assert reservations.take(new, HOLDER | {"worker": "w2"})
    assert not reservations.leave(old), "who lost a slot cannot empty it"
    assert reservations.is_current(new)


@pytest.mark.parametrize("state", ["queued", "succeeded", "failed", "cancelled", None])
def test_only_a_running_comparison_reserves(
    redis: Redis, reservations: Reservations, state: str | None
) -> None:
    waiting, taken = offered(reservations, 0), offered(reservations, 1)
    assert reservations.take(taken, HOLDER)
    if state is None:
        redis.delete(keys.comparison_key("c"))
    else:
        redis.hset(keys.comparison_key("c"), "state", state)
    assert not reservations.take(waiting, HOLDER)
    assert not reservations.is_current(taken)
    assert reservations.request("c", 2) is None


def test_a_slot_that_was_left_is_empty_and_the_others_are_not(
    redis: Redis, reservations: Reservations
) -> None:
    first, second = offered(reservations, 0), offered(reservations, 1)
    reservations.take(first, HOLDER)
    reservations.take(second, HOLDER | {"worker": "w2"})
    assert set(reservations.holders("c")) == {0, 1}
    assert reservations.leave(first) and not reservations.leave(first)
    assert not reservations.is_current(first) and reservations.is_current(second)
    assert set(reservations.holders("c")) == {1}


def test_claims_are_counted_on_reserved_hosts_only(
    redis: Redis, reservations: Reservations
) -> None:
    make_job(redis, batches=5)
    claim(redis, "h1", 0)
    assert reservations.claims() == {}, "nothing is counted while nothing is reserved"
    reservations.reserve_hosts(["h1", "h2"])
    assert reservations.claims() == {"h1": 0, "h2": 0}
    first = claim(redis, "h1", 1)
    claim(redis, "h3", 2)
    claim(redis, "h1", 3)
    assert reservations.claims() == {"h1": 2, "h2": 0}
    claim(redis, "h1", 1, follows=first)
    assert reservations.claims() == {"h1": 3, "h2": 0}
    reservations.reserve_hosts(["h2"])
    assert reservations.claims() == {"h2": 0}
    reservations.free_hosts()
    assert reservations.claims() == {} and not redis.exists(keys.RESERVED)


def test_a_claim_that_is_refused_is_not_counted(redis: Redis, reservations: Reservations) -> None:
    make_job(redis)
    reservations.reserve_hosts(["h1"])
    claim(redis, "h1")
    owner = {"worker": "w", "host": "h1", "pid": 2, "ppid": 1, "python": "3.11", "gil": True}
    assert Ownership(redis).claim("j", 0, owner) == "running"
    assert reservations.claims() == {"h1": 1}


def test_an_existing_job_is_not_written_again(redis: Redis) -> None:
    assert make_job(redis, labels={"a": "1"}).submitted_ms is not None
    claim(redis, "h1")
    counts = redis.hgetall(keys.COUNTS)
    again = make_job(redis, labels={"a": "2"}, batches=3)
    assert (again.name, again.submitted_ms) == ("j", None)
    job = Jobs(redis).load("j")
    assert job and job.state == "running" and len(job.batches) == 1
    assert job.spec.labels == {"a": "1"}
    assert redis.hgetall(keys.COUNTS) == counts
    assert Jobs(redis).delete("j") == "running"


def test_a_job_that_has_ended_is_not_run_again_by_a_second_request(redis: Redis) -> None:
    make_job(redis)
    Jobs(redis).cancel("j")
    assert make_job(redis).submitted_ms is None
    job = Jobs(redis).load("j")
    assert job and job.state == "cancelled"

"""The rules of the ledger, on a real Valkey: once each, whole or not at all, only its owner."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from batchpool.ledger import keys
from batchpool.ledger.blocks.block_index import Selection
from batchpool.ledger.blocks.item_codec import ItemsBroken
from batchpool.ledger.blocks.item_upload import ItemUpload
from batchpool.ledger.blocks.stored_items import StoredItems
from batchpool.ledger.broken import Broken
from batchpool.ledger.events import Events
from batchpool.ledger.job_creation import (
    CapacityLimits,
    IdempotencyKey,
    KeyReused,
    QueueFull,
    UploadLost,
)
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.ownership import (
    EMPTY_BLOCK,
    LEASE_S,
    NO_SECOND_TRY,
    OTHER_VERSION,
    Block,
    Claim,
    Ending,
    Ownership,
    make_block,
)
from batchpool.ledger.records import Records
from batchpool.ledger.recovery import Recovery
from batchpool.ledger.values.job_entries import JobEntry, NewJob, Tally, UploadedItems
from batchpool.model import ExecutionSite, Outcome, TaskError
from batchpool.reducers.reducer import Reducer
from batchpool.reducers.reduction import BatchReductions, merge
from tests.support.job_specs import job_spec

OWNER = {"worker": "w", "host": "h", "pid": 2, "ppid": 1, "python": "3.11", "gil": True}
SPEC = job_spec(backend="thread-pool", concurrency=4)
LANE = ExecutionSite(2, 1, 3, "MainThread", 0)


def create(redis: Redis, job_id: str = "j", **changes: Any) -> Jobs:
    fields: dict[str, Any] = {
        "id": job_id,
        "spec": SPEC,
        "ranges": [(0, 4)],
        "items": None,
        "queue": "c",
        "timeout_s": 60,
        "queue_timeout_s": 60,
        "result_ttl_s": 60,
    }
    jobs = Jobs(redis)
    jobs.create(NewJob(**fields | changes))
    return jobs


def claim(redis: Redis, batch: int = 0, job_id: str = "j") -> Claim:
    found = Ownership(redis).claim(job_id, batch, OWNER)
    assert isinstance(found, Claim), found
    return found


def block(owned: Claim, number: int, *indices: int) -> Block:
    made = [Outcome(index, "succeeded", index, None, LANE, 100, 10, 5) for index in indices]
    return make_block(owned, number, made, 0)


def tally(*indices: int) -> Tally:
    return Tally({"succeeded": len(indices)}, sum=str(sum(indices)))


def reduced(owned: Claim, number: int, *indices: int) -> Block:
    """The same with the states of the reducers of its job."""
    made = BatchReductions(owned.run.reduce, owned.reduced)
    return replace(block(owned, number, *indices), reduced=made.add(indices, indices))


def expire_lease(redis: Redis, batch: int = 0) -> None:
    redis.zadd(keys.LEASES, {f"{keys.job_key('j')}|{batch}": 1})


REDUCE = {"most": Reducer("max"), "all": Reducer("count"), "whole": Reducer("mean", of="/x")}


def shown(job: JobEntry | None) -> Any:
    assert job
    states = [batch.reduced for batch in job.batches]
    return {
        name: merge(reducer, [each.get(name) for each in states]).show()["value"]
        for name, reducer in job.spec.reduce.items()
    }


def test_states_of_reducers_go_with_their_block_and_to_the_next_owner(redis: Redis) -> None:
    jobs, owner = create(redis, spec=replace(SPEC, reduce=REDUCE)), Ownership(redis)
    owned = claim(redis)
    first = reduced(owned, 1, 0, 3)
    assert [owner.flush(owned, first, tally(0, 3)) for _ in range(2)] == ["ok", "again"]
    assert shown(jobs.load("j")) == {"most": {"value": 3, "index": 3}, "all": 2, "whole": None}
    expire_lease(redis)
    Recovery(redis).expire_leases()
    assert owner.flush(owned, reduced(owned, 2, 1), tally(0, 1, 3)) == "stale"
    successor = claim(redis)
    assert successor.reduced == first.reduced
    last = reduced(successor, 1, 1, 2)
    assert set(last.reduced) == {"all", "whole"}
    ending = Ending("succeeded", {})
    assert owner.flush(successor, last, tally(0, 1, 2, 3), ending) == "ok"
    found = jobs.load("j")
    assert shown(found) == {"most": {"value": 3, "index": 3}, "all": 4, "whole": None}
    # A list of jobs does not show it, so it does not read it.
    (listed,) = jobs.load_many(["j"])
    assert listed and found and listed.batches == [replace(found.batches[0], reduced={})]
    left_ms = [redis.pttl(key) for key in ("bp:job:j:0:reduced", "bp:job:j:0")]
    assert min(left_ms) > 0 and max(left_ms) - min(left_ms) < 5000
    assert jobs.delete("j") == "deleted" and not redis.exists("bp:job:j:0:reduced")


def test_a_block_is_taken_once_however_often_it_is_sent(redis: Redis) -> None:
    jobs, owner = create(redis), Ownership(redis)
    owned = claim(redis)
    first = block(owned, 1, 0, 2)
    answers = [owner.flush(owned, first, tally(0, 2)) for _ in range(3)]
    assert answers == ["ok", "again", "again"]
    job = jobs.load("j")
    assert job and [r["index"] for r in Records(redis).stream(job)] == [0, 2]


def test_a_block_with_an_item_that_is_recorded_is_refused_whole(redis: Redis) -> None:
    jobs, owner = create(redis), Ownership(redis)
    owned = claim(redis)
    owner.flush(owned, block(owned, 1, 0, 2), tally(0, 2))
    assert owner.flush(owned, block(owned, 2, 1, 2), tally(0, 1, 2)) == "double"
    job = jobs.load("j")
    assert job and job.batches[0].tally.counts == {"succeeded": 2}
    assert [r["index"] for r in Records(redis).stream(job)] == [0, 2]


def test_a_claim_takes_its_message_out_of_the_queue_whatever_it_answers(redis: Redis) -> None:
    create(redis)
    popped = ["LREM", "popped", "0", "j-0"]
    for expected in (Claim, str):
        redis.rpush("popped", "j-0", "other", "j-0")
        found = Ownership(redis).claim("j", 0, OWNER, unqueueing=[popped])
        assert isinstance(found, expected)
        assert redis.lrange("popped", 0, -1) == [b"other"] and redis.delete("popped")


def test_a_queue_of_the_wrong_type_does_not_stop_a_claim_halfway(redis: Redis) -> None:
    create(redis)
    redis.set("popped", "others' data")
    found = Ownership(redis).claim("j", 0, OWNER, unqueueing=[["LREM", "popped", "0", "j-0"]])
    assert isinstance(found, Claim) and found.epoch == 1


@pytest.mark.parametrize("knows_script", [True, False])
def test_waiting_for_the_end_gives_the_job_as_it_ended(redis: Redis, knows_script: bool) -> None:
    jobs, owner = create(redis), Ownership(redis)
    assert jobs.wait_ended("j", 1) is None and jobs.wait_ended("nobody", 1) is None
    owned = claim(redis)
    assert jobs.wait_ended("j", 1) is None
    if not knows_script:
        redis.script_flush()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(jobs.wait_ended, "j", 5000)
        owner.flush(owned, block(owned, 1, 0, 1, 2, 3), tally(0, 1, 2, 3), done())
        seen = waiting.result()
    assert seen and seen.job.state == "succeeded" and seen.job.batches[0].tally.recorded == 4


def test_an_owner_whose_batch_was_taken_writes_nothing(redis: Redis) -> None:
    jobs, owner = create(redis), Ownership(redis)
    frozen = claim(redis)
    expire_lease(redis)
    assert [w.batch for w in Recovery(redis).expire_leases()] == [0]
    second = claim(redis)
    assert owner.flush(frozen, block(frozen, 1, 0), tally(0)) == "stale"
    seen = jobs.load("j")
    assert seen and "refused_ms" in seen.batches[0].epochs[0]
    assert not owner.release(frozen) and not owner.end(frozen, Ending("failed", {}, "cancelled"))
    assert not owner.renew(frozen).is_owner
    assert owner.flush(second, block(second, 1, 0, 1, 2, 3), tally(0, 1, 2, 3), done()) == "ok"
    job = jobs.load("j")
    # The block, the release, the end and the renewal.
    assert job and job.state == "succeeded" and job.batches[0].refused == 4
    assert [epoch["end_reason"] for epoch in job.batches[0].epochs] == ["lost", "succeeded"]


def test_what_a_lost_owner_ran_is_kept_for_the_timeline(redis: Redis) -> None:
    jobs, owner = create(redis), Ownership(redis, lease_s=3)
    assert owner.renew(claim(redis), "[1,3]").is_owner
    expire_lease(redis)
    Recovery(redis).expire_leases()
    job = jobs.load("j")
    assert job
    [epoch] = job.batches[0].epochs
    assert epoch["lost"] == {"lease_ended_ms": 1, "in_flight": [1, 3]}
    assert (epoch["lease_ms"], "refused_ms" in epoch) == (LEASE_S * 1000, False)


def test_a_batch_succeeds_only_with_a_success_of_each_item(redis: Redis) -> None:
    jobs, owner = create(redis), Ownership(redis)
    owned = claim(redis)
    all_of_it = block(owned, 1, 0, 1, 2, 3)
    # What a patched json.dumps made of a tally: the bitmap is full, and nothing was counted.
    assert owner.flush(owned, all_of_it, Tally(), done()) == "short"
    ending = Ending("succeeded", {}, "cancelled")
    assert owner.flush(owned, block(owned, 1, 0, 1), tally(0, 1), ending) == "short"
    job = jobs.load("j")
    assert job and job.state == "running"
    assert not [record for record in Records(redis).stream(job) if record["pid"]]
    assert owner.flush(owned, all_of_it, tally(0, 1, 2, 3), done()) == "ok"


def test_a_second_try_is_given_once_and_before_the_first_record(redis: Redis) -> None:
    jobs, owner = create(redis, ranges=[(0, 2), (2, 3)]), Ownership(redis)
    first = claim(redis)
    second = owner.claim("j", 0, OWNER, first, second_try="no room")
    assert isinstance(second, Claim) and second.epoch == 2
    assert owner.claim("j", 0, OWNER, second, second_try="no room") == NO_SECOND_TRY
    assert owner.flush(first, block(first, 1, 0), tally(0)) == "stale"
    assert owner.flush(second, block(second, 1, 0), tally(0)) == "ok"
    other = claim(redis, 1)
    assert owner.flush(other, block(other, 1, 2), tally(2)) == "ok"
    assert owner.claim("j", 1, OWNER, other, second_try="no room") == NO_SECOND_TRY
    job = jobs.load("j")
    assert job and [batch.second_try for batch in job.batches] == ["no room", None]
    assert job.batches[0].epochs[0]["end_reason"] == "broken"


def done() -> Ending:
    return Ending("succeeded", {"observed": None})


def test_what_is_recorded_is_not_given_to_the_next_owner(redis: Redis) -> None:
    create(redis, ranges=[(0, 2), (2, 3)])
    owned = claim(redis, 1)
    Ownership(redis).flush(owned, block(owned, 1, 3), tally(3))
    assert Ownership(redis).release(owned)
    again = claim(redis, 1)
    assert again.done == {3} and again.epoch == 2 and again.tally == tally(3)


def test_reading_by_state_opens_only_blocks_that_have_some(redis: Redis) -> None:
    jobs, owner = create(redis), Ownership(redis)
    owned = claim(redis)
    error = TaskError(type="ValueError", message="no", traceback=None)
    failed = Outcome(2, "failed", None, error, LANE, 100, 10, 5)
    blocks = [block(owned, 1, 0, 1), make_block(owned, 2, [failed], 0), block(owned, 3, 3)]
    for each in blocks:
        assert owner.flush(owned, each, Tally()) == "ok"
    heads, payloads = (keys.batch_key("j", 0) + part for part in (":heads", ":blocks"))
    for at in (0, 2):
        redis.lset(payloads, at, b"not opened")
    job = jobs.load("j")
    assert job and failed_indices(redis, job) == [2]
    assert not Broken(redis).all()
    # A header of a former version: its block is opened.
    redis.lset(heads, 0, json.dumps({"e": 1, "lo": 0, "hi": 1}))
    redis.lset(payloads, 0, make_block(owned, 1, [failed._replace(index=1)], 0).payload)
    assert failed_indices(redis, job) == [1, 2]


def failed_indices(redis: Redis, job: JobEntry) -> list[int]:
    return [r["index"] for r in Records(redis).stream(job, wanted=Selection({"failed"}))]


def test_items_without_a_record_are_found_by_their_state(redis: Redis) -> None:
    jobs, owner = create(redis), Ownership(redis)
    owned = claim(redis)
    owner.flush(owned, block(owned, 1, 0, 2), tally(0, 2))
    assert owner.end(owned, Ending("cancelled", {}, "cancelled"))
    job = jobs.load("j")
    assert job
    cancelled = Records(redis).stream(job, wanted=Selection({"cancelled"}))
    assert [record["index"] for record in cancelled] == [1, 3]
    assert failed_indices(redis, job) == []


def test_a_batch_does_not_end_as_complete_with_items_missing(redis: Redis) -> None:
    jobs, owner = create(redis), Ownership(redis)
    owned = claim(redis)
    assert owner.flush(owned, block(owned, 1, 0, 1, 2), tally(0, 1, 2), done()) == "short"
    assert owner.flush(owned, block(owned, 1, 0, 1, 2, 3), tally(0, 1, 2, 3), done()) == "ok"
    job = jobs.load("j")
    assert job and job.state == "succeeded"


def test_a_closing_block_whose_answer_was_lost_is_known_again(redis: Redis) -> None:
    create(redis)
    owner, owned = Ownership(redis), claim(redis)
    last = block(owned, 1, 0, 1, 2, 3)
    assert owner.flush(owned, last, tally(0, 1, 2, 3), done()) == "ok"
    assert owner.flush(owned, last, tally(0, 1, 2, 3), done()) == "again"


def test_who_closed_a_batch_itself_is_told_so_when_it_renews(redis: Redis) -> None:
    jobs = create(redis)
    owner, owned = Ownership(redis), claim(redis)
    owner.flush(owned, block(owned, 1, 0, 1, 2, 3), tally(0, 1, 2, 3), done())
    renewal = owner.renew(owned)
    assert renewal.closed and not renewal.is_owner
    stranger = replace(owned, token="1:another")
    assert not owner.renew(stranger).closed
    job = jobs.load("j")
    assert job and job.batches[0].refused == 1, "only the stranger was refused"


def test_only_one_of_two_workers_gets_the_batch(redis: Redis) -> None:
    create(redis)
    claim(redis)
    assert Ownership(redis).claim("j", 0, OWNER) == "running"
    assert Ownership(redis).claim("nobody", 0, OWNER) == "missing"


def test_a_runner_that_crashed_is_followed_by_a_new_epoch_of_the_same_worker(redis: Redis) -> None:
    create(redis)
    owner, old = Ownership(redis), claim(redis)
    new = owner.claim("j", 0, OWNER | {"pid": 5}, follows=old)
    assert isinstance(new, Claim) and new.epoch == 2
    assert owner.flush(old, block(old, 1, 0), tally(0)) == "stale"
    assert owner.claim("j", 0, OWNER, follows=old) == "running"


def test_cancel_ends_what_nobody_owns_and_tells_the_owner_of_the_rest(redis: Redis) -> None:
    jobs = create(redis, ranges=[(0, 2), (2, 2)])
    owned = claim(redis)
    assert [jobs.cancel("j"), jobs.cancel("j")] == ["cancelled", "cancelled"]
    job = jobs.load("j")
    assert job and job.state == "running"
    assert [batch.state for batch in job.batches] == ["running", "cancelled"]
    assert Ownership(redis).renew(owned).cancel == "user"
    assert Ownership(redis).end(owned, Ending("cancelled", {}, "cancelled"))
    job = jobs.load("j")
    assert job and job.state == "cancelled" and jobs.cancel("j") == "terminal"
    assert [r["state"] for r in Records(redis).stream(job)] == ["cancelled"] * 4


def test_a_job_cancelled_before_its_batch_was_claimed_is_not_run(redis: Redis) -> None:
    jobs = create(redis)
    jobs.cancel("j")
    assert Ownership(redis).claim("j", 0, OWNER) == "cancelled"


def test_on_error_stop_ends_the_other_batches_and_the_job_as_failed(redis: Redis) -> None:
    jobs = create(redis, ranges=[(0, 2), (2, 2), (4, 2)])
    owned, other = claim(redis), claim(redis, 1)
    stop = Ending("failed", {}, "cancelled", stop_job=True)
    assert Ownership(redis).flush(owned, EMPTY_BLOCK, Tally({"failed": 1}), stop) == "ok"
    assert Ownership(redis).renew(other).cancel == "error"
    assert Ownership(redis).end(other, Ending("cancelled", {}, "cancelled"))
    job = jobs.load("j")
    assert job and job.state == "failed"
    assert [batch.state for batch in job.batches] == ["failed", "cancelled", "cancelled"]


def test_a_job_past_its_limit_ends_even_if_nobody_owns_a_batch(redis: Redis) -> None:
    jobs = create(redis, ranges=[(0, 2), (2, 2)], timeout_s=0.02)
    Ownership(redis).release(claim(redis))
    time.sleep(0.03)  # the limit is in Redis' time, which no test can turn
    Recovery(redis).expire_deadlines()
    job = jobs.load("j")
    assert job and job.state == "failed" and job.error and job.error["type"] == "timeout"
    assert {r["state"] for r in Records(redis).stream(job)} == {"timeout"}


def test_a_job_that_no_worker_took_ends_by_its_queue_timeout(redis: Redis) -> None:
    jobs = create(redis, queue_timeout_s=0.02)
    time.sleep(0.03)
    Recovery(redis).expire_deadlines()
    job = jobs.load("j")
    assert job and job.state == "failed" and job.error and job.error["type"] == "queue_timeout"


def test_a_batch_that_lost_twenty_workers_is_given_up(redis: Redis) -> None:
    jobs = create(redis)
    for _ in range(20):
        claim(redis)
        expire_lease(redis)
        Recovery(redis).expire_leases()
    job = jobs.load("j")
    assert job and job.state == "failed" and job.error and job.error["type"] == "worker_lost"


def test_a_live_owner_keeps_its_batch(redis: Redis) -> None:
    create(redis)
    owned = claim(redis)
    assert Recovery(redis).expire_leases() == []
    assert Ownership(redis).renew(owned).is_owner


def test_parked_and_moved_batches_keep_their_reason_and_queue(redis: Redis) -> None:
    jobs, recovery = create(redis), Recovery(redis)
    recovery.park("j", 0, "no live worker has task 'x'")
    job = jobs.load("j")
    assert job and job.batches[0].state == "parked" and job.batches[0].parked
    assert [w.batch for w in recovery.parked()] == [0] and recovery.waiting() == []
    recovery.move("j", 0, "other")
    assert [(w.batch, w.queue) for w in recovery.waiting()] == [(0, "other")]
    assert recovery.parked() == []


def test_listed_items_come_back_across_blocks(redis: Redis) -> None:
    given = [{"n": n, "s": "x" * (n % 7)} for n in range(9000)]
    jobs = create(redis, items=given, ranges=[(0, 5000), (5000, 4000)])
    assert jobs.items("j", 4090, 20) == given[4090:4110]
    assert jobs.items("j", 0, 9000) == given
    assert claim(redis, 1).listed


def uploaded(redis: Redis, parts: list[list[Any]], room: int = 100_000) -> ItemUpload:
    upload = ItemUpload(redis, "j", CapacityLimits(room))
    for items in parts:
        upload.add(json.dumps(items)[1:-1], len(items))
        upload.finish()
    return upload


def test_uploaded_items_belong_to_a_job_or_to_nobody(redis: Redis) -> None:
    given = [{"n": n} for n in range(5000)]
    # As large items come: blocks in several parts.
    upload = uploaded(redis, [given[:10], given[10:4000], given[4000:4096], given[4096:]])
    assert 590 < redis.ttl("bp:upload:j") <= 600 and redis.keys("bp:job*") == []
    jobs = create(redis, items=upload.finish(), ranges=[(0, 4500), (4500, 500)])
    assert redis.ttl("bp:job:j:items") == -1 and redis.keys("bp:upload*") == []
    assert list(jobs.items("j", 0, 5000)) == given
    assert list(jobs.items("j", 4500, 500)) == given[4500:]
    assert list(jobs.items("j", 3990, 20)) == given[3990:4010] and claim(redis, 1).listed
    upload.discard()
    assert jobs.items("j", 4999, 1) == given[-1:]


def test_an_upload_that_has_lost_a_block_makes_no_job(redis: Redis) -> None:
    upload = uploaded(redis, [[1], [2]])
    redis.delete("bp:upload:j")
    with pytest.raises(UploadLost):
        upload.add("3", 1)
        upload.finish()
    with pytest.raises(UploadLost):
        create(redis, items=UploadedItems("bp:upload:j", 2, 2, 0), ranges=[(0, 2)])
    assert redis.keys("bp:*") == []


def test_an_upload_ends_where_no_more_items_may_wait(redis: Redis) -> None:
    with pytest.raises(QueueFull, match="5 of 4"):
        uploaded(redis, [[1, 2], [3, 4], [5]], room=4)
    assert redis.hlen("bp:upload:j") == 2


@pytest.mark.parametrize("size", [3, 5000])
def test_items_of_many_blocks_are_read_as_they_are_needed(redis: Redis, size: int) -> None:
    given = list(range(80_000))
    parts = [given[at : at + min(size, 4096)] for at in range(0, 4096 * 19, 4096)]
    upload = ItemUpload(redis, "j", CapacityLimits(100_000))
    for part in parts:
        rest = given[part[0] + len(part) : part[0] + 4096]
        for items in (part, rest):
            if items:
                upload.add(json.dumps(items)[1:-1], len(items))
                upload.finish()
    jobs = create(redis, items=upload.finish(), ranges=[(0, 70_000)])
    items = jobs.items("j", 100, 70_000)
    assert isinstance(items, StoredItems)
    assert list(items) == given[100:70_100] and items[50_000:50_003] == given[50_100:50_103]
    assert items[-1] == given[70_099] and len(items) == 70_000
    redis.hdel("bp:job:j:items", "1", "1.1")
    with pytest.raises(ItemsBroken):
        items[5000]


def test_an_idempotency_key_makes_one_job_and_refuses_another_body(redis: Redis) -> None:
    jobs = Jobs(redis)
    new = NewJob("a", SPEC, [(0, 1)], None, "c", 60, 60, 60)
    key = IdempotencyKey("anyone POST /v1/jobs", "k", "hash")
    assert jobs.create(new, (), key).name == "a"
    replay = NewJob("b", SPEC, [(0, 1)], None, "c", 60, 60, 60)
    assert jobs.create(replay, (), key) == ("a", None, "")
    assert jobs.load("b") is None
    with pytest.raises(KeyReused):
        jobs.create(replay, (), IdempotencyKey(key.scope, "k", "other"))


def test_deleting_leaves_no_key_behind(redis: Redis) -> None:
    jobs, owner = create(redis, items=["a", "b"], ranges=[(0, 1), (1, 1)]), Ownership(redis)
    assert jobs.delete("j") == "running"
    for batch in range(2):
        owned = claim(redis, batch)
        owner.flush(owned, block(owned, 1, batch), tally(batch), done())
    assert [jobs.delete("j"), jobs.delete("j")] == ["deleted", "missing"]
    assert redis.keys("*") == [keys.COUNTS.encode()]


def test_every_key_of_an_ended_job_has_a_time_to_live(redis: Redis) -> None:
    create(redis, items=["a"], ranges=[(0, 1)], result_ttl_s=0.05)
    owned = claim(redis)
    Ownership(redis).flush(owned, block(owned, 1, 0), tally(0), done())
    # -1 is a key for ever; one may be gone by now, which is -2.
    assert all(redis.pttl(key) != -1 for key in redis.scan_iter("bp:job:*"))
    time.sleep(0.06)
    assert Recovery(redis).forget_finished() == 1
    assert redis.keys("*") == [keys.COUNTS.encode()]


def test_events_are_seen_in_order_and_waited_for(redis: Redis) -> None:
    jobs, events = create(redis), Events(redis)
    seen = jobs.load_snapshot("j")
    assert seen
    last = seen.event
    assert events.read("j", last, 1) == []
    jobs.cancel("j")
    assert [event["type"] for _, event in events.read("j", last, 1000)] == ["batch", "end"]


def test_jobs_are_listed_newest_first_in_pages(redis: Redis) -> None:
    for number in range(5):
        create(redis, f"j{number}")
        time.sleep(0.002)  # the order is that of the submission's millisecond
    jobs = Jobs(redis)
    assert jobs.page(2) == ["j4", "j3"]
    assert jobs.page(9, before="j3") == ["j2", "j1", "j0"]
    assert jobs.page(9, before="gone") == []


ONE, TWO = (
    json.dumps({"echo-2": "f" * 16, "echo": digit * 16}, separators=(",", ":")) for digit in "12"
)


def test_the_first_claim_binds_a_job_to_the_version_of_its_task(redis: Redis) -> None:
    create(redis, ranges=[(0, 2), (2, 2)])
    owner, recovery = Ownership(redis), Recovery(redis)
    assert recovery.bound_to("j") is None
    first = owner.claim("j", 0, OWNER, codes=ONE)
    assert isinstance(first, Claim) and recovery.bound_to("j") == "1" * 16
    assert owner.claim("j", 1, OWNER, codes=TWO) == OTHER_VERSION
    assert owner.claim("j", 0, OWNER, follows=first, codes=TWO) == OTHER_VERSION
    assert owner.renew(first).is_owner, "a claim that is refused takes nothing away"
    assert not recovery.move("j", 1, "d", code="2" * 16)
    assert recovery.move("j", 1, "d", code="1" * 16)
    assert isinstance(owner.claim("j", 1, OWNER, codes=ONE), Claim)


def test_a_claim_under_which_nothing_ran_binds_to_nothing(redis: Redis) -> None:
    create(redis, ranges=[(0, 2), (2, 2)])
    owner, recovery = Ownership(redis), Recovery(redis)
    first, second = (owner.claim("j", batch, OWNER, codes=ONE) for batch in (0, 1))
    assert isinstance(first, Claim) and isinstance(second, Claim)
    owner.release(first, untouched=True)
    assert recovery.bound_to("j") == "1" * 16, "the other one may have run something"
    owner.release(second, untouched=True)
    assert recovery.bound_to("j") is None
    again = owner.claim("j", 0, OWNER, codes=TWO)
    assert isinstance(again, Claim)
    owner.release(again)
    assert recovery.bound_to("j") == "2" * 16


def test_a_class_that_found_itself_unfit_is_remembered(redis: Redis) -> None:
    create(redis)
    recovery = Recovery(redis)
    recovery.park("j", 0, "one", "c")
    recovery.move("j", 0, "d")
    recovery.park("j", 0, "two", "d")
    (parked,) = recovery.parked()
    assert parked.unfit == {"c", "d"}


def test_a_claim_whose_answer_was_lost_is_answered_again(stage: Any) -> None:
    job_id = stage.post(task="echo", count=3)["id"]
    owner = {"worker": "w", "host": "h", "pid": 2, "ppid": 1, "python": "3.11", "gil": True}
    ownership = Ownership(stage.redis)
    first = ownership.claim(job_id, 0, owner, nonce="abcd")
    again = ownership.claim(job_id, 0, owner, nonce="abcd")
    assert isinstance(first, Claim)
    assert isinstance(again, Claim)
    assert (again.token, again.epoch) == (first.token, 1)
    assert ownership.claim(job_id, 0, owner, nonce="ef01") == "running"
    next_one = ownership.claim(job_id, 0, owner, first, nonce="2345")
    repeated = ownership.claim(job_id, 0, owner, first, nonce="2345")
    assert isinstance(next_one, Claim)
    assert isinstance(repeated, Claim)
    assert (repeated.token, repeated.epoch) == (next_one.token, 2)
    # The one before is not the owner any more.
    assert ownership.claim(job_id, 0, owner, nonce="abcd") == "running"

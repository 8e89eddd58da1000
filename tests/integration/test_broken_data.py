"""One broken datum harms only what it belongs to, is named once, and can be deleted (P17)."""

import json
import logging
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
import pytest
from redis import Redis

from batchpool.comparisons.driver import Driver
from batchpool.ledger import keys
from batchpool.ledger.broken import BrokenDatum
from batchpool.ledger.quarantine import Quarantine
from batchpool.reconciler.reconciler import Reconciler
from batchpool.settings import ReconcilerSettings
from tests.support.sampling import full
from tests.support.waiting import wait_until

SETTINGS = ReconcilerSettings.from_env({"BATCHPOOL_LEASE_S": "1"})
JUNK = b"\xff\xfe\x00junk"
QUEUE = "rq:queue:batchpool:c311"
Corruption = Callable[[Redis, str], Any]
"""Breaks something of Redis, or of the job with that id."""


def put_text(key: str) -> Corruption:
    def corrupt(redis: Redis, job_id: str) -> None:
        name = key.format(job=job_id)
        redis.delete(name)
        redis.set(name, JUNK)

    return corrupt


def put_field(key: str, field: str, value: bytes) -> Corruption:
    return lambda redis, job_id: redis.hset(key.format(job=job_id), field, value)


def put_member(key: str, member: bytes, score: float = 1) -> Corruption:
    return lambda redis, job_id: redis.zadd(key, {member.replace(b"{job}", job_id.encode()): score})


INDICES = ("jobs", "finished", "deadlines", "leases", "waiting", "parked")
OF_A_JOB: dict[str, Corruption] = {
    "the job is text": put_text("bp:job:{job}"),
    "a batch is text": put_text("bp:job:{job}:0"),
    "a batch is gone": lambda redis, job_id: redis.delete(f"bp:job:{job_id}:0"),
    "spec": put_field("bp:job:{job}", "spec", JUNK),
    "spec is a list": put_field("bp:job:{job}", "spec", b"[1]"),
    "spec is empty": put_field("bp:job:{job}", "spec", b"{}"),
    "spec is deep": put_field("bp:job:{job}", "spec", b"[" * 100_000),
    "many batches": put_field("bp:job:{job}", "batches", b"1000000000000"),
    "batches are no number": put_field("bp:job:{job}", "batches", b"many"),
    "state": put_field("bp:job:{job}", "state", JUNK),
    "submitted": put_field("bp:job:{job}", "submitted_ms", b"soon"),
    "many items": put_field("bp:job:{job}:0", "count", b"1000000000000"),
    "count": put_field("bp:job:{job}:0", "count", JUNK),
    "tally": put_field("bp:job:{job}:0", "tally", b'{"counts":7}'),
    "queue": put_field("bp:job:{job}:0", "queue", JUNK),
    "many epochs": put_field("bp:job:{job}:0", "epoch", b"1000000000000"),
    "a batch's state": put_field("bp:job:{job}:0", "state", JUNK),
    "an unknown state": put_field("bp:job:{job}", "state", b"done"),
    "an unknown state of a batch": put_field("bp:job:{job}:0", "state", b"done"),
    "no time": put_field("bp:job:{job}", "submitted_ms", b"9" * 400),
    "a time after all years": put_field("bp:job:{job}:0", "queued_ms", b"9" * 16),
    "an error of another form": put_field("bp:job:{job}:0", "error", b'{"a":1e999}'),
    "a report that is a list": put_field("bp:job:{job}:0", "report", b"[]"),
}
OF_A_KEY: dict[str, Corruption] = {
    **{f"{each} is text": put_text(f"bp:{each}") for each in INDICES},
    "workers is text": put_text("bp:workers"),
    "classes is text": put_text("bp:classes"),
    "counts is text": put_text("bp:counts"),
    "the list of the broken is text": put_text("bp:broken"),
    "comparisons is text": put_text("bp:comparisons"),
    "comparing is text": put_text("bp:comparing"),
    "the leader is text": put_text("bp:cmp:leader"),
    "the queue is text": put_text(QUEUE),
    "the queues are text": put_text("rq:queues"),
    "the events are text": put_text("bp:job:{job}:events"),
}
OF_A_MEMBER: dict[str, Corruption] = {
    **{
        f"{each} has junk": put_member(f"bp:{each}", JUNK) for each in INDICES if each != "finished"
    },
    "waits without a number": put_member("bp:waiting", b"bp:job:{job}"),
    "waits with a huge number": put_member("bp:waiting", b"bp:job:{job}|99999999999999999999"),
    "waits below zero": put_member("bp:waiting", b"bp:job:{job}|-1"),
    "waits without a batch": put_member("bp:waiting", b"bp:job:{job}|77"),
    "waits without a job": put_member("bp:parked", b"bp:job:ffffffffffffffffffffffff|0"),
    "comparisons have junk": put_member("bp:comparisons", JUNK),
    "comparing has junk": put_member("bp:comparing", JUNK),
    "a comparison is text": lambda redis, job_id: (
        redis.set("bp:cmp:aaaaaaaaaaaaaaaaaaaaaaaa", JUNK),
        redis.zadd("bp:comparisons", {"bp:cmp:aaaaaaaaaaaaaaaaaaaaaaaa": 1}),
        redis.zadd("bp:comparing", {"bp:cmp:aaaaaaaaaaaaaaaaaaaaaaaa": 1}),
    ),
    "a class is junk": put_field("bp:classes", "c1", JUNK),
    "a class has other types": put_field(
        "bp:classes", "c1", json.dumps({"id": 1, "python": 2, "backends": 3}).encode()
    ),
    "a worker is junk": lambda redis, job_id: (
        redis.sadd("bp:workers", "w9"),
        redis.set("bp:worker:w9", JUNK),
    ),
    "a worker has other types": lambda redis, job_id: (
        redis.sadd("bp:workers", "w9"),
        redis.set("bp:worker:w9", json.dumps({"name": "w9", "class": 7})),
    ),
    "a count is junk": put_field("bp:counts", "queued_items", JUNK),
    "a count is absurd": put_field("bp:counts", "open_items", b"999999999999999999"),
    "a count is beyond all floats": put_field("bp:counts", "queued_items", b"9" * 400),
    "a count is negative": put_field("bp:counts", "running", b"-5"),
}


@pytest.fixture
def reconciler(redis: Redis) -> Reconciler:
    return Reconciler(redis, SETTINGS)


def lists_go_on(stage: Any, good: str) -> None:
    for path in ("/v1/jobs", "/v1/jobs?state=queued", "/v1/jobs?task=echo"):
        assert good in [job["id"] for job in stage.get(path)["jobs"]], path
    for path in ("/v1/comparisons", "/v1/workers", "/v1/tasks", "/v1/backends"):
        stage.get(path)
    assert b"batchpool_jobs" in stage.http.get("/metrics").data


def work_goes_on(stage: Any, good: str) -> None:
    again = stage.post(task="echo", items=[4])["id"]
    for job_id in (good, again):
        stage.run(job_id)
        assert stage.get(f"/v1/jobs/{job_id}")["state"] == "succeeded"
    assert [r["value"] for r in stage.get(f"/v1/jobs/{good}/records")["records"]] == [1, 2]


def is_listed_and_removable(stage: Any) -> None:
    listed = stage.get("/v1/broken")["broken"]
    assert len(listed) == 1, listed
    assert listed[0]["reason"]
    path = f"/v1/broken/{listed[0]['id']}"
    assert stage.http.delete(path).status_code == 204
    assert stage.http.delete(path).status_code == 404
    assert stage.get("/v1/broken")["broken"] == []
    assert list(stage.redis.scan_iter("bp:broken*")) == []


def counts_are_right(stage: Any) -> None:
    counts = stage.redis.hmget(keys.COUNTS, "queued", "running", "queued_items", "open_items")
    assert [int(each or 0) for each in counts] == [0, 0, 0, 0]


@pytest.mark.parametrize("name", OF_A_JOB)
def test_a_broken_job_harms_no_other(
    stage: Any, reconciler: Reconciler, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = stage.post(task="echo", count=3)["id"], stage.post(task="echo", items=[1, 2])["id"]
    with caplog.at_level(logging.WARNING, "batchpool.ledger"):
        OF_A_JOB[name](stage.redis, bad)
        lists_go_on(stage, good)
        for _ in range(3):
            reconciler.run_pass()
        lists_go_on(stage, good)
    assert bad not in [job["id"] for job in stage.get("/v1/jobs")["jobs"]]
    stage.get(f"/v1/jobs/{bad}", 404)
    assert sum("skipped the broken" in each.message for each in caplog.records) == 1
    work_goes_on(stage, good)
    counts_are_right(stage)
    is_listed_and_removable(stage)
    assert list(stage.redis.scan_iter(f"*{bad}*:*")) == []


@pytest.mark.parametrize("name", OF_A_KEY)
def test_a_key_of_the_wrong_type_is_moved_and_made_anew(
    stage: Any, reconciler: Reconciler, name: str
) -> None:
    good = stage.post(task="echo", items=[1, 2])["id"]
    OF_A_KEY[name](stage.redis, good)
    # Refused for now, or listed: until the next pass of the reconciler.
    assert stage.http.get("/v1/jobs").status_code in (200, 503)
    assert stage.http.get("/metrics").status_code in (200, 503)
    for _ in range(3):
        # A live worker does so every 2 s.
        reconciler.run_pass()
        stage.announce(stage.capabilities(), stage.worker_document())
    lists_go_on(stage, good)
    assert stage.redis.zscore("bp:waiting", f"bp:job:{good}|0") is not None
    work_goes_on(stage, good)
    counts_are_right(stage)
    is_listed_and_removable(stage)


@pytest.mark.parametrize("name", OF_A_MEMBER)
def test_a_broken_member_is_skipped_and_moved(
    stage: Any, reconciler: Reconciler, name: str
) -> None:
    good = stage.post(task="echo", items=[1, 2])["id"]
    OF_A_MEMBER[name](stage.redis, good)
    lists_go_on(stage, good)
    reconciler.run_pass()
    # The first pass judges no lease.
    reconciler._grace._until_s = time.monotonic()
    driver = Driver(stage.redis, SETTINGS)
    for _ in range(3):
        driver.run_step()
        reconciler.run_pass()
    lists_go_on(stage, good)
    work_goes_on(stage, good)
    counts_are_right(stage)
    is_listed_and_removable(stage)


def test_a_member_that_was_lost_is_put_back(stage: Any, reconciler: Reconciler) -> None:
    good = stage.post(task="echo", items=[1, 2])["id"]
    stage.redis.zrem("bp:waiting", f"bp:job:{good}|0")
    stage.redis.zadd("bp:waiting", {f"bp:job:{good}|{'0' * 12}": 1})
    for _ in range(3):
        reconciler.run_pass()
    assert stage.redis.zrange("bp:waiting", 0, -1) == [f"bp:job:{good}|0".encode()]
    work_goes_on(stage, good)


BLOCKS: dict[str, Callable[[], bytes]] = {
    "junk": lambda: JUNK,
    "junk inside": lambda: zlib.compress(JUNK),
    "10^12 records": lambda: zlib.compress(
        msgpack.packb({"n": 10**12, "f": 0, "v": "[]", "L": [], "o": [], "w": [], "c": []})
    ),
}
LARGE_BLOCKS: dict[str, Callable[[], bytes]] = {
    "300 MB of zeros": lambda: zlib.compress(bytes(300 << 20), 1),
}


@pytest.mark.parametrize("name", [*BLOCKS, *full(*LARGE_BLOCKS)])
def test_a_broken_block_costs_its_records_only(stage: Any, name: str) -> None:
    job_id = stage.post(task="echo", items=[1, 2, 3, 4], batches=2)["id"]
    stage.run(job_id, 0)
    stage.run(job_id, 1)
    stage.redis.lset(f"bp:job:{job_id}:0:blocks", 0, (BLOCKS | LARGE_BLOCKS)[name]())
    for _ in range(2):
        found = stage.get(f"/v1/jobs/{job_id}/records")["records"]
        assert [record["value"] for record in found] == [3, 4]
    assert stage.get(f"/v1/jobs/{job_id}")["state"] == "succeeded"
    is_listed_and_removable(stage)
    assert len(stage.get(f"/v1/jobs/{job_id}/records")["records"]) == 2
    assert stage.get("/v1/broken")["broken"] == []


def test_two_that_move_the_same_job_disturb_neither(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reconciler moves it while a user deletes it."""
    one, other = (Quarantine(stage.redis, lambda datum: False, 8) for _ in range(2))
    key = f"bp:job:{stage.post(task='echo', count=4, batches=2)['id']}"
    job = BrokenDatum("1", "job", key, "", "junk", 0)
    look = one._keys_below

    def look_while_it_is_moved(prefix: bytes) -> Iterator[bytes]:
        found = list(look(prefix))
        other.move(job)
        return iter(found)

    monkeypatch.setattr(one, "_keys_below", look_while_it_is_moved)
    one.move(job)
    assert not list(stage.redis.scan_iter(f"{key}*"))
    assert list(stage.redis.scan_iter(f"{job.aside}*"))


def test_a_worker_outlives_broken_messages_and_an_emptied_redis(crew: Any) -> None:
    crew.start_workers(1)
    crew.start("batchpool.reconciler")
    redis, stage = crew.redis, crew.stage
    queue = f"rq:queue:batchpool:{next(iter(redis.hgetall(keys.CLASSES))).decode()}"
    redis.set("rq:job:ill", JUNK)
    redis.rpush(queue, JUNK, b"no message", b"f" * 24 + b"-0", b"ill")
    bad = stage.post(task="echo", count=2)["id"]
    redis.hset(f"bp:job:{bad}", "spec", JUNK)
    assert crew.run(task="echo", items=[1, 2])["state"] == "succeeded"
    wait_until(lambda: stage.get("/v1/broken")["broken"], 10, "the broken job is listed")
    redis.flushall()
    order = {"task": "echo", "items": [1]}
    wait_until(
        lambda: stage.http.post("/v1/jobs", json=order).status_code == 202, 10, "orders are taken"
    )
    assert crew.run(task="echo", items=[1])["state"] == "succeeded"
    assert all(member.poll() is None for member in crew.members)

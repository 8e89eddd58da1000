"""Broken Idempotency-Keys, leases, items, slots, events and messages harm nothing else (P17)."""

import json
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from batchpool.comparisons.driver import Driver
from batchpool.ledger import keys
from batchpool.ledger.blocks.item_codec import ItemsBroken, unpack_items
from batchpool.ledger.ownership import Ending, Ownership
from batchpool.ledger.reservations import Reservations, WorkerSlot
from batchpool.reconciler.reconciler import Reconciler
from tests.integration.test_broken_data import JUNK, SETTINGS, counts_are_right, lists_go_on
from tests.support.waiting import wait_until

KEY = {"Idempotency-Key": "k"}
ORDERS: dict[str, dict[str, Any]] = {
    "/v1/jobs": {"task": "echo", "count": 2},
    "/v1/comparisons": {
        "task": "sleep",
        "params": {"seconds": 0.1},
        "count": 4,
        "arms": [{"backend": "sequential"}, {"backend": "thread-pool", "concurrency": 4}],
    },
}
HOLDER: Any = {"worker": "w1", "host": "h1", "cpus": 2, "pid": 7, "python": "3.11", "gil": True}
FAR = 9e18


@pytest.fixture
def reconciler(redis: Redis) -> Reconciler:
    found = Reconciler(redis, SETTINGS)
    # As if it had run for a while: the first passes judge no lease.
    found.run_pass()
    found._grace._until_s = time.monotonic()
    return found


def remove_the_broken(stage: Any, count: int = 1) -> None:
    """Delete what is listed as broken, which must be `count` things."""
    listed = stage.get("/v1/broken")["broken"]
    assert len(listed) == count, listed
    for each in listed:
        assert each["reason"]
        assert stage.http.delete(f"/v1/broken/{each['id']}").status_code == 204
    assert list(stage.redis.scan_iter("bp:broken*")) == []


STORED: dict[str, Callable[[Redis, str], Any]] = {
    "junk": lambda redis, name: redis.set(name, JUNK),
    "nothing": lambda redis, name: redis.set(name, ""),
    "no hash": lambda redis, name: redis.set(name, "0123456789abcdef01234567"),
    "a list": lambda redis, name: (redis.delete(name), redis.rpush(name, "x")),
}


@pytest.mark.parametrize("path", ORDERS)
@pytest.mark.parametrize("stored", STORED)
def test_an_order_with_a_broken_key_is_refused_until_the_key_is_deleted(
    stage: Any, reconciler: Reconciler, path: str, stored: str
) -> None:
    order = ORDERS[path]
    assert stage.http.post(path, json=order, headers=KEY).status_code == 202
    (name,) = stage.redis.scan_iter("bp:once:*")
    STORED[stored](stage.redis, name)
    for _ in range(2):
        response = stage.http.post(path, json=order, headers=KEY)
        assert response.status_code == 409
        assert "/v1/broken/" in response.get_json()["detail"]
        reconciler.run_pass()
    assert stage.http.post(path, json=order, headers={"Idempotency-Key": "l"}).status_code == 202
    remove_the_broken(stage)
    assert stage.http.post(path, json=order, headers=KEY).status_code == 202


def test_a_lease_that_ends_too_far_ahead_is_cut(stage: Any, reconciler: Reconciler) -> None:
    job_id = stage.post(task="echo", items=[1, 2])["id"]
    stage.claim(job_id)
    for score in (FAR, float("inf")):
        stage.redis.zadd(keys.LEASES, {f"bp:job:{job_id}|0": score})
        reconciler._sweep()
        left_s = stage.redis.zscore(keys.LEASES, f"bp:job:{job_id}|0") / 1000 - time.time()
        assert left_s < 5
    wait_until(
        lambda: (reconciler.run_pass(), stage.redis.zcard(keys.WAITING))[1], 10, "queued again"
    )
    stage.run(job_id)
    assert stage.get(f"/v1/jobs/{job_id}")["state"] == "succeeded"
    remove_the_broken(stage)
    counts_are_right(stage)


@pytest.mark.parametrize("score", [FAR, float("inf"), float("-inf"), 0, -FAR])
def test_scores_that_are_wrong_lose_no_job(
    stage: Any, reconciler: Reconciler, score: float
) -> None:
    job_id = stage.post(task="echo", items=[1, 2], queue_timeout_s=60)["id"]
    key, redis = f"bp:job:{job_id}", stage.redis
    limit = redis.zscore(keys.DEADLINES, key)
    for index in (keys.JOBS, keys.DEADLINES, keys.FINISHED):
        redis.zadd(index, {key: score})
    redis.zadd(keys.WAITING, {f"{key}|0": score})
    for _ in range(2):
        reconciler._sweep()
        reconciler.run_pass()
    lists_go_on(stage, job_id)
    assert redis.zscore(keys.DEADLINES, key) == limit
    stage.run(job_id)
    assert stage.get(f"/v1/jobs/{job_id}")["state"] == "succeeded"
    reconciler._sweep()
    redis.zadd(keys.FINISHED, {key: score})
    reconciler._sweep()
    assert [job["id"] for job in stage.get("/v1/jobs")["jobs"]] == [job_id]
    assert stage.get("/v1/broken")["broken"] == []
    counts_are_right(stage)


def packed(items: Any) -> bytes:
    return zlib.compress(json.dumps(items).encode(), 9)


ITEMS: dict[str, Callable[[Redis, str], Any]] = {
    "junk": lambda redis, key: redis.hset(key, "0", JUNK),
    "junk inside": lambda redis, key: redis.hset(key, "0", zlib.compress(JUNK)),
    "deep": lambda redis, key: redis.hset(key, "0", zlib.compress(b"[" * 100_000)),
    "no list": lambda redis, key: redis.hset(key, "0", packed({"a": 1})),
    "too few": lambda redis, key: redis.hset(key, "0", packed([1])),
    "too many": lambda redis, key: redis.hset(key, "0", packed(list(range(5000)))),
    "a block is gone": lambda redis, key: (redis.hset(key, "7", JUNK), redis.hdel(key, "0")),
    "all are gone": lambda redis, key: redis.delete(key),
    "text": lambda redis, key: (redis.delete(key), redis.set(key, JUNK)),
}


@pytest.mark.parametrize("how", ITEMS)
def test_items_that_cannot_be_read_cost_their_job_only(
    stage: Any, reconciler: Reconciler, how: str
) -> None:
    bad, good = (stage.post(task="echo", items=[7, 8])["id"] for _ in range(2))
    stage.run(bad, fail=frozenset([1]))
    ITEMS[how](stage.redis, f"bp:job:{bad}:items")
    reconciler.run_pass()
    assert stage.get(f"/v1/jobs/{bad}/records")["records"] == []
    assert stage.http.post(f"/v1/jobs/{bad}/retry").status_code == 409
    for path in (f"/v1/jobs/{bad}/trace", f"/jobs/{bad}"):
        assert stage.http.get(path).status_code == 200, path
    stage.run(good)
    assert [each["value"] for each in stage.get(f"/v1/jobs/{good}/records")["records"]] == [7, 8]
    if how != "too few":
        remove_the_broken(stage)
    assert stage.http.delete(f"/v1/jobs/{bad}").status_code == 204


def test_a_block_of_items_is_unpacked_up_to_a_limit() -> None:
    bomb = packed("x" * 10_000_000)
    assert len(bomb) < 20_000
    with pytest.raises(ItemsBroken, match="more than 1000000 bytes"):
        unpack_items(bomb, 1_000_000)


@pytest.mark.parametrize(
    ("name", "value"),
    [("state", b"done"), ("submitted_ms", b"9" * 400), ("started_ms", b"{}"), ("error", b"[]")],
)
def test_a_comparison_with_a_field_that_makes_no_sense_spoils_no_list(
    stage: Any, reconciler: Reconciler, name: str, value: bytes
) -> None:
    bad, good = (
        stage.http.post("/v1/comparisons", json=ORDERS["/v1/comparisons"]).get_json()["id"]
        for _ in range(2)
    )
    stage.redis.hset(f"bp:cmp:{bad}", name, value)
    for _ in range(2):
        assert [each["id"] for each in stage.get("/v1/comparisons")["comparisons"]] == [good]
        assert stage.http.get("/comparisons").status_code == 200
        reconciler.run_pass()
    remove_the_broken(stage)


def test_a_job_whose_reduced_values_cannot_be_read_has_no_report(
    stage: Any, reconciler: Reconciler
) -> None:
    bad = stage.post(task="echo", items=[7, 8], reduce={"most": {"op": "max"}})["id"]
    stage.run(bad)
    stage.redis.hset(f"bp:job:{bad}:0:reduced", "most", JUNK)
    for _ in range(2):
        assert stage.http.get(f"/v1/jobs/{bad}/report").status_code == 404
        reconciler.run_pass()
    remove_the_broken(stage)


@pytest.mark.parametrize("path", ["", "/records", "/report", "/timeline", "/trace"])
def test_a_batch_that_has_lost_its_epochs_is_no_job_without_records(
    stage: Any, reconciler: Reconciler, path: str
) -> None:
    bad = stage.post(task="echo", items=[7, 8])["id"]
    stage.run(bad)
    stage.redis.hdel(f"bp:job:{bad}:0", "epoch")
    for _ in range(2):
        assert stage.http.get(f"/v1/jobs/{bad}{path}").status_code == 404
        reconciler.run_pass()
    remove_the_broken(stage)


SLOTS: dict[str, Callable[[Redis, str], Any]] = {
    "a holder is junk": lambda redis, key: redis.hset(key, "0", JUNK),
    "a holder is deep": lambda redis, key: redis.hset(key, "0", b"[" * 100_000),
    "a holder is a number": lambda redis, key: redis.hset(key, "0", "7"),
    "a holder has other types": lambda redis, key: redis.hset(key, "0", '{"worker":7,"host":[]}'),
    "a slot has no number": lambda redis, key: redis.hset(key, JUNK, "{}"),
    "slots are text": lambda redis, key: redis.set(key, JUNK),
    "claims are junk": lambda redis, key: redis.hset(keys.RESERVED, "box", JUNK),
    "a host is junk": lambda redis, key: redis.hset(keys.RESERVED, JUNK, "1"),
    "hosts are text": lambda redis, key: redis.set(keys.RESERVED, JUNK),
}


@pytest.mark.parametrize("how", SLOTS)
def test_a_broken_slot_stops_neither_its_comparison_nor_a_job(
    stage: Any, reconciler: Reconciler, how: str
) -> None:
    response = stage.http.post("/v1/comparisons", json=ORDERS["/v1/comparisons"])
    comparison = response.get_json()["id"]
    driver, path = Driver(stage.redis, SETTINGS), f"/v1/comparisons/{comparison}"
    driver.run_step()
    key = keys.slots_key(comparison)
    stage.redis.delete(key, keys.RESERVED)
    SLOTS[how](stage.redis, key)
    reservations = Reservations(stage.redis)
    slot = WorkerSlot(comparison, 0, "n")
    assert not reservations.is_current(slot)
    assert not reservations.take(slot, HOLDER)
    assert not reservations.leave(slot)
    for _ in range(3):
        driver.run_step()
        job_id = stage.post(task="echo", items=[1])["id"]
        stage.run(job_id)
        assert stage.get(f"/v1/jobs/{job_id}")["state"] == "succeeded"
        assert stage.get(path)["state"] == "running"
        reconciler.run_pass()
    assert stage.redis.type(key) in (b"hash", b"none")
    assert stage.http.post(f"{path}/cancel").status_code == 202
    wait_until(
        lambda: (driver.run_step(), stage.get(path)["state"] == "cancelled")[1], 20, "it ended"
    )
    counts_are_right(stage)
    remove_the_broken(stage)


def test_a_released_holder_that_cannot_be_read_does_not_stop_the_driver(stage: Any) -> None:
    comparisons = [
        stage.http.post("/v1/comparisons", json=ORDERS["/v1/comparisons"]).get_json()["id"]
        for _ in range(2)
    ]
    driver = Driver(stage.redis, SETTINGS)
    driver.run_step()
    stage.redis.hset(keys.slots_key(comparisons[0]), "0", JUNK)
    stage.http.post(f"/v1/comparisons/{comparisons[0]}/cancel")

    def second_runs() -> bool:
        driver.run_step()
        return bool(stage.get(f"/v1/comparisons/{comparisons[1]}")["state"] == "running")

    wait_until(second_runs, 20, "the next comparison runs")


STREAMS: dict[str, Callable[[Redis, str], Any]] = {
    "text": lambda redis, key: (redis.delete(key), redis.set(key, JUNK)),
    "junk": lambda redis, key: redis.xadd(key, {JUNK: JUNK}),
    "an unknown kind": lambda redis, key: redis.xadd(key, {"type": "tea", "batch": "0"}),
    "no further ids": lambda redis, key: redis.xadd(key, {"type": "job", "batch": ""}, LAST_ID),
}
LAST_ID = f"{2**64 - 1}-{2**64 - 1}"


@pytest.mark.parametrize("stream", ["events", "end"])
@pytest.mark.parametrize("how", STREAMS)
def test_a_broken_stream_stops_no_step_of_its_job(
    stage: Any, reconciler: Reconciler, how: str, stream: str
) -> None:
    """A step that says something there goes on, whole, and readers are refused at most."""
    job_id = stage.post(task="echo", items=[1, 2])["id"]
    path, key = f"/v1/jobs/{job_id}", f"bp:job:{job_id}:{stream}"
    STREAMS[how](stage.redis, key)
    for each in (f"{path}/events", f"{path}?wait=0.2", path):
        assert read_a_little(stage, each) in (200, 404, 503), each
    claim = stage.claim(job_id)
    stage.redis.delete(key)
    STREAMS[how](stage.redis, key)
    stage.app.extensions["batchpool"].jobs.cancel(job_id)
    Ownership(stage.redis).end(claim, Ending("cancelled", {}, "cancelled"))
    reconciler.run_pass()
    assert stage.get(path)["state"] == "cancelled"
    for each in (f"{path}/events", f"{path}?wait=0.2", path):
        assert read_a_little(stage, each) == 200, each
    counts_are_right(stage)
    for each in stage.get("/v1/broken")["broken"]:
        assert stage.http.delete(f"/v1/broken/{each['id']}").status_code == 204
    assert list(stage.redis.scan_iter("bp:broken*")) == []


def read_a_little(stage: Any, path: str) -> int:
    """The status of an answer; of a stream, after its first events."""
    with stage.http.get(path, buffered=False) as response:
        for _ in zip(range(3), response.iter_encoded(), strict=False):
            pass
        return int(response.status_code)


def test_messages_that_are_not_ours_are_listed_with_what_they_hold(
    crew: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    crew.start_workers(1)
    crew.start("batchpool.reconciler")
    redis, stage = crew.redis, crew.stage
    class_id = next(iter(redis.hgetall(keys.CLASSES))).decode()
    queue = f"rq:queue:batchpool:{class_id}"
    redis.set("rq:job:ill", JUNK)
    redis.hset("rq:job:foreign", mapping={"data": "os.system", "origin": "elsewhere"})
    redis.set(f"rq:job:{'c' * 24}_0_reserve", JUNK)
    names = [b"ill", b"foreign", b"no message", JUNK, b"c" * 24 + b"_0_reserve"]
    redis.rpush(queue, *names, b"f" * 24 + b"-0")
    redis.rpush("rq:queue:batchpool:gone", b"left behind")
    redis.sadd("rq:queues", "rq:queue:batchpool:gone")
    assert crew.run(task="echo", items=[1, 2])["state"] == "succeeded"

    def all_are_listed() -> bool:
        return len(stage.get("/v1/broken")["broken"]) == len(names) + 1

    wait_until(all_are_listed, 30, "the messages are listed")
    listed = {each["name"]: each for each in stage.get("/v1/broken")["broken"]}
    assert {name.encode("latin-1") for name in listed} == {*names, b"left behind"}
    assert {each["key"] for each in listed.values()} == {queue, "rq:queue:batchpool:gone"}
    assert redis.type(f"bp:broken:key:{listed['foreign']['id']}") == b"hash"
    assert redis.llen(queue) == 0
    remove_the_broken(stage, len(names) + 1)
    assert list(redis.scan_iter("rq:job:*")) == []
    assert all(member.poll() is None for member in crew.members)
    assert "Traceback" not in capfd.readouterr().err

"""A batch with a broken key, or in a broken index, is ended or goes on as a whole (P17)."""

from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from batchpool.execution.item_logs import ItemLogs
from batchpool.ledger.ownership import Claim, Ending, Ownership
from batchpool.model import ExecutionSite, Outcome
from batchpool.reconciler.reconciler import Reconciler
from batchpool.runner.record_writer import RecordWriter
from tests.integration.test_broken_data import (
    INDICES,
    JUNK,
    SETTINGS,
    counts_are_right,
    is_listed_and_removable,
    put_text,
)

PARTS = ("bits", "heads", "blocks", "reduced", "events", "end")
REDUCE = {"most": {"op": "max"}}


OWNER: Any = {"worker": "w1", "host": "box", "pid": 7, "ppid": 6, "python": "3.11", "gil": True}


def outcome(index: int) -> Outcome:
    return Outcome(index, "succeeded", index, None, ExecutionSite(7, 6, 7, "t", 0), 0, 0, 0)


def writer_of(stage: Any, claim: Claim) -> RecordWriter:
    return RecordWriter(Ownership(stage.redis), claim, 0, lambda: 0, ItemLogs())


def indices_of(stage: Any, job_id: str) -> list[int]:
    found = [record["index"] for record in stage.get(f"/v1/jobs/{job_id}/records")["records"]]
    assert len(found) == len(set(found))
    return found


@pytest.fixture
def reconciler(redis: Redis) -> Reconciler:
    return Reconciler(redis, SETTINGS)


@pytest.mark.parametrize("part", PARTS)
def test_an_ended_job_is_read_without_a_part_of_the_wrong_type(
    stage: Any, reconciler: Reconciler, part: str
) -> None:
    job_id = stage.post(task="echo", items=[1, 2, 3], reduce=REDUCE)["id"]
    writer = writer_of(stage, stage.claim(job_id))
    writer.buffer.add([outcome(0), outcome(1)])
    writer.close(lambda counts: Ending("failed", {}, rest="cancelled"))
    path = f"/v1/jobs/{job_id}"
    key = f"bp:job:{job_id}:{part}" if part in PARTS[-2:] else f"bp:job:{job_id}:0:{part}"
    stage.redis.delete(key)
    stage.redis.rpush(key, "x") if part == "bits" else stage.redis.set(key, JUNK)
    for each in (path, f"{path}/records", f"{path}/values?missing=null", f"{path}/timeline"):
        assert stage.http.get(each).status_code in (200, 503), each
    reconciler.run_pass()
    assert stage.get(path)["state"] == "failed"
    for each in ("/values?missing=null", "/timeline", "/trace", "/errors", "/records?follow=1"):
        with stage.http.get(path + each) as answer:
            assert answer.status_code == 200, each
    assert indices_of(stage, job_id) == ([2] if part in ("heads", "blocks") else [0, 1, 2])
    if part == "end":
        # Read by nobody: the job has ended.
        return
    is_listed_and_removable(stage)


@pytest.mark.parametrize("part", PARTS[:4])
def test_a_batch_that_is_begun_ends_if_a_part_of_it_is_broken(
    stage: Any, reconciler: Reconciler, part: str
) -> None:
    job_id = stage.post(task="echo", items=[1, 2, 3], reduce=REDUCE, batches=2)["id"]
    key = f"bp:job:{job_id}:1:{part}"
    put = stage.redis.rpush if part == "bits" else stage.redis.set
    put(key, "x")
    claim = Ownership(stage.redis).claim(job_id, 1, OWNER)
    assert (claim == "unreadable") == (part in ("bits", "reduced"))
    if isinstance(claim, Claim):
        before = stage.redis.hgetall(f"bp:job:{job_id}:1")
        writer = writer_of(stage, claim)
        writer.buffer.add([outcome(2)])
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            writer.flush()
        # Refused whole: nothing of it was written.
        assert stage.redis.hgetall(f"bp:job:{job_id}:1") == before
        assert not stage.redis.exists(f"bp:job:{job_id}:1:bits", f"bp:job:{job_id}:1:reduced")
        assert key in Ownership(stage.redis).note_broken(claim)
    reconciler.run_pass()
    job = stage.get(f"/v1/jobs/{job_id}")
    assert [batch["state"] for batch in job["batches"]] == ["queued", "failed"]
    assert key in job["error"]["message"]
    stage.run(job_id, 0)
    assert stage.get(f"/v1/jobs/{job_id}")["state"] == "failed"
    assert indices_of(stage, job_id) == [0, 1, 2]
    counts_are_right(stage)
    is_listed_and_removable(stage)


def test_a_batch_whose_bitmap_is_lost_does_not_run_again(stage: Any) -> None:
    job_id = stage.post(task="echo", items=[1, 2, 3])["id"]
    claim = stage.claim(job_id)
    writer = writer_of(stage, claim)
    writer.buffer.add([outcome(0), outcome(1)])
    writer.flush()
    assert Ownership(stage.redis).release(claim)
    stage.redis.delete(f"bp:job:{job_id}:0:bits")
    assert Ownership(stage.redis).claim(job_id, 0, OWNER) == "ended"
    job = stage.get(f"/v1/jobs/{job_id}")
    assert (job["state"], job["sum"], job["progress"]["succeeded"]) == ("failed", 1, 2)
    assert f"bp:job:{job_id}:0:bits" in job["error"]["message"]
    counts_are_right(stage)


@pytest.mark.parametrize("index", INDICES)
def test_a_step_goes_on_where_an_index_is_broken(
    stage: Any, reconciler: Reconciler, index: str
) -> None:
    """Written whole: the reconciler then puts what is missing into the index."""
    put_text(f"bp:{index}")(stage.redis, "")
    job_id = stage.post(task="echo", items=[1, 2])["id"]
    claim = stage.claim(job_id)
    assert Ownership(stage.redis).renew(claim).is_owner
    put_text(f"bp:{index}")(stage.redis, "")
    writer = writer_of(stage, claim)
    writer.buffer.add([outcome(0), outcome(1)])
    put_text("bp:counts")(stage.redis, "")
    writer.close(lambda counts: Ending("succeeded", {}))
    reconciler.run_pass()
    assert [job["id"] for job in stage.get("/v1/jobs?state=succeeded")["jobs"]] == [job_id]
    counts_are_right(stage)
    assert stage.redis.zscore("bp:finished", f"bp:job:{job_id}") is not None
    for each in stage.get("/v1/broken")["broken"]:
        assert stage.http.delete(f"/v1/broken/{each['id']}").status_code == 204

"""The reconciler against a real Valkey: what it puts right, and what it leaves alone."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import Any

import pytest
from redis import Redis

from batchpool.ledger.broken import Broken
from batchpool.ledger.connection import connect
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.presence import Presence
from batchpool.ledger.reconciler_presence import client_name, idle_reconcilers
from batchpool.ledger.values.load_samples import ClassLoad, LoadSample
from batchpool.reconciler.reconciler import Reconciler
from batchpool.schemas.inventory_responses import Classes
from batchpool.settings import ReconcilerSettings
from tests.support.waiting import wait_until

SETTINGS = ReconcilerSettings.from_env({"BATCHPOOL_CLASS_GONE_S": "15"})
QUEUE = "rq:queue:batchpool:c311"


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Watched:
    """A reconciler and its clock."""

    def __init__(self, redis: Redis) -> None:
        self.clock = Clock()
        self._reconciler = Reconciler(redis, SETTINGS, self.clock)

    def run(self, seconds: float = 0.0) -> None:
        """Passes, a second apart, over so long a time."""
        for _ in range(max(1, int(seconds))):
            self._reconciler.run_pass()
            self.clock.now_s += 1.0


@pytest.fixture
def watched(redis: Redis) -> Watched:
    return Watched(redis)


def _ids(stage: Any, queue: str = QUEUE) -> list[str]:
    return [name.decode() for name in stage.redis.lrange(queue, 0, -1)]


def _state(stage: Any, job_id: str) -> dict[str, Any]:
    batch: dict[str, Any] = stage.get(f"/v1/jobs/{job_id}")["batches"][0]
    return batch


def test_a_batch_that_its_queue_lost_is_put_there_again_once(stage: Any, watched: Watched) -> None:
    job = stage.post(task="echo", count=1)
    stage.redis.delete(QUEUE)
    watched.run(5)
    assert _ids(stage) == [f"{job['id']}-0"]


def test_a_batch_whose_worker_died_between_pop_and_claim_is_put_back(
    stage: Any, watched: Watched
) -> None:
    job = stage.post(task="echo", count=1)
    stage.redis.lmove(QUEUE, QUEUE + ":intermediate", "LEFT", "RIGHT")
    watched.run(4)
    assert _ids(stage) == []
    watched.run(4)
    assert _ids(stage) == [f"{job['id']}-0"]
    assert _ids(stage, QUEUE + ":intermediate") == []


def test_a_queue_that_is_whole_is_left_alone(stage: Any, watched: Watched) -> None:
    jobs = [stage.post(task="echo", count=4, batches=2)["id"] for _ in range(3)]
    before = _ids(stage)
    watched.run(6)
    assert _ids(stage) == before == [f"{job}-{n}" for job in jobs for n in (0, 1)]


def _let_lease_expire(stage: Any, job_id: str) -> None:
    stage.redis.zadd("bp:leases", {f"bp:job:{job_id}|0": 1})


def test_a_batch_whose_owner_is_silent_is_queued_again(stage: Any, watched: Watched) -> None:
    watched.run(SETTINGS.lease_s + 1)
    job = stage.post(task="echo", count=2)
    stage.redis.lpop(QUEUE)
    stage.claim(job["id"])
    _let_lease_expire(stage, job["id"])
    watched.run()
    assert _ids(stage) == [f"{job['id']}-0"]
    batch = _state(stage, job["id"])
    assert (batch["state"], batch["lost_workers"]) == ("queued", 1)
    assert batch["epochs"][0]["end_reason"] == "lost"
    stage.run(job["id"])
    assert stage.get(f"/v1/jobs/{job['id']}")["state"] == "succeeded"


def test_no_lease_is_judged_right_after_a_start_or_a_gap(stage: Any, watched: Watched) -> None:
    job = stage.post(task="echo", count=2)
    stage.claim(job["id"])
    _let_lease_expire(stage, job["id"])
    watched.run(SETTINGS.lease_s - 1)
    assert _state(stage, job["id"])["state"] == "running"
    # Redis was away for 30 s: the owners could not renew, though they live.
    watched.clock.now_s += 30
    watched.run(SETTINGS.lease_s)
    assert _state(stage, job["id"])["state"] == "running"
    watched.run(2)
    assert _state(stage, job["id"])["state"] == "queued"


def test_batches_of_a_class_that_is_gone_move_to_one_that_lives(
    stage: Any, watched: Watched
) -> None:
    job = stage.post(task="echo", count=1)
    stage.leave("w1")
    newer = stage.capabilities(id="c314", python="3.14")
    stage.announce(newer, stage.worker_document(name="w2", **{"class": "c314"}))
    watched.run(15)
    assert _ids(stage) == [f"{job['id']}-0"]
    watched.run(2)
    assert _ids(stage) == []
    assert _ids(stage, "rq:queue:batchpool:c314") == [f"{job['id']}-0"]
    watched.run(10)
    assert [found.id for found in Presence(stage.redis).classes()] == ["c314"]
    assert _state(stage, job["id"])["state"] == "queued"


def test_what_nobody_can_run_is_parked_until_somebody_can(stage: Any, watched: Watched) -> None:
    job = stage.post(task="echo", count=1)
    stage.leave("w1")
    watched.run(17)
    batch = _state(stage, job["id"])
    assert batch["state"] == "parked"
    assert batch["parked"] == "no live worker can run the task 'echo' on thread-pool"
    assert _ids(stage) == []
    stage.announce(stage.capabilities(), stage.worker_document())
    watched.run(1)
    batch = _state(stage, job["id"])
    assert (batch["state"], batch["parked"]) == ("queued", None)
    assert _ids(stage) == [f"{job['id']}-0"]


def test_a_job_past_its_queue_timeout_fails_queued_or_parked(stage: Any, watched: Watched) -> None:
    jobs = [stage.post(task="echo", count=2, queue_timeout_s=0.001)["id"] for _ in range(2)]
    watched.run()
    for job_id in jobs:
        job = stage.get(f"/v1/jobs/{job_id}")
        assert (job["state"], job["error"]["type"]) == ("failed", "queue_timeout")
        assert job["progress"]["timeout"] == 2


def test_jobs_whose_time_is_up_leave_nothing_behind(stage: Any, watched: Watched) -> None:
    watched.run()
    before = set(stage.redis.keys("*"))
    job = stage.post(task="echo", items=["a"])
    stage.run(job["id"])
    for key in stage.redis.keys("bp:job:*"):
        stage.redis.pexpire(key, 1)
    stage.redis.zadd("bp:finished", {f"bp:job:{job['id']}": 1})
    # A worker takes the batch out of the queue; the stage has none.
    stage.redis.delete(QUEUE)
    watched.clock.now_s += 10
    watched.run()
    assert stage.get("/v1/jobs")["jobs"] == []
    assert set(stage.redis.keys("*")) - before <= {b"rq:queues", b"bp:counts"}


def test_a_cancelled_job_does_not_stay_in_a_queue_that_nobody_reads(
    stage: Any, watched: Watched
) -> None:
    cancelled = stage.post(task="echo", count=2, batches=2)["id"]
    waiting = stage.post(task="echo", count=1)["id"]
    stage.http.post(f"/v1/jobs/{cancelled}/cancel")
    # Former versions stored an RQ job for each batch.
    stage.redis.hset(f"rq:job:{cancelled}-0", "origin", "batchpool")
    stage.redis.rpush(QUEUE, "what is this", b"\xff")
    watched.run(25)
    stage.redis.lrem(QUEUE, 0, b"\xff")
    assert _ids(stage) == [f"{waiting}-0"]
    assert stage.redis.keys("rq:job:*") == []


def test_what_a_worker_popped_and_left_behind_is_swept_once_the_batch_has_ended(
    stage: Any, watched: Watched
) -> None:
    job = stage.post(task="echo", count=1)["id"]
    stage.redis.lmove(QUEUE, QUEUE + ":intermediate")
    watched.run(3)
    assert _ids(stage, QUEUE + ":intermediate") == [f"{job}-0"]
    stage.http.post(f"/v1/jobs/{job}/cancel")
    watched.run(25)
    assert _ids(stage, QUEUE + ":intermediate") == []


def test_two_reconcilers_at_once_do_no_harm(stage: Any, redis_url: str) -> None:
    jobs = [stage.post(task="echo", count=4, batches=4)["id"] for _ in range(10)]
    stage.redis.delete(QUEUE)
    both = [Watched(stage.redis), Watched(stage.redis)]
    threads = [threading.Thread(target=watched.run, args=(6,)) for watched in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Each batch stands there; twice is harmless, since only one claim of it succeeds.
    assert set(_ids(stage)) == {f"{job}-{n}" for job in jobs for n in range(4)}
    for job in jobs:
        for batch in range(4):
            stage.run(job, batch)
        assert stage.get(f"/v1/jobs/{job}")["progress"]["succeeded"] == 4


def test_classes_that_were_not_seen_for_long_are_forgotten(stage: Any, watched: Watched) -> None:
    document = stage.capabilities(id="ancient") | {"seen_ms": 1}
    stage.redis.hset("bp:classes", "ancient", json.dumps(document))
    watched.run()
    assert [found.id for found in Presence(stage.redis).classes()] == ["c311"]


def test_a_class_is_forgotten_once_a_live_one_can_run_all_of_it(
    stage: Any, watched: Watched
) -> None:
    """After an upgrade its errors, and itself as a class of each task, would be shown for days."""
    broken = [{"source": "mine.py", "error": "SyntaxError"}]
    stage.announce(stage.capabilities(id="before", version="0", errors=broken))
    others = stage.capabilities(id="others")
    del others["tasks"]["cpu"]
    others["tasks"]["mine"] = others["tasks"]["echo"]
    stage.announce(others)
    stage.announce(stage.capabilities(id="newer", backends=["interpreter-pool"]))
    watched.run()
    kept = {found.id for found in Presence(stage.redis).classes()}
    assert kept == {"c311", "newer", "others"}, "of those without a worker only what adds something"
    stage.leave("w1")
    watched.run(20)
    assert {found.id for found in Presence(stage.redis).classes()} == kept
    task = next(task for task in stage.get("/v1/tasks")["tasks"] if task["name"] == "cpu")
    assert sorted(task["classes"]) == ["c311", "newer"]


def test_rq_remembers_neither_killed_workers_nor_queues_of_classes_that_are_gone(
    stage: Any, watched: Watched
) -> None:
    job = stage.post(task="echo", count=1)["id"]
    workers, queues = ("rq:workers", "rq:workers:batchpool:c311"), "rq:queues"
    stage.redis.set("rq:worker:live", "")
    for key in workers:
        stage.redis.sadd(key, "rq:worker:live", "rq:worker:killed")
    stage.redis.sadd(queues, "rq:queue:batchpool:ancient", "rq:queue:of somebody else")
    watched.run()
    assert [stage.redis.smembers(key) for key in workers] == [{b"rq:worker:live"}] * 2
    kept = {b"rq:queue:batchpool:c311", b"rq:queue:of somebody else"}
    assert stage.redis.smembers(queues) == kept
    assert _ids(stage) == [f"{job}-0"]


def test_the_process_goes_on_through_an_outage_and_ends_at_sigterm(tmp_path: Any) -> None:
    environ = os.environ | {
        "REDIS_URL": f"unix://{tmp_path}/nobody.sock",
        "BATCHPOOL_RECONCILE_INTERVAL_S": "0.05",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "batchpool.reconciler"],
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "Redis does not answer, retrying" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0
    # One line for the whole outage, not one for each pass.
    assert process.stderr.read() == ""
    process.stderr.close()


def test_a_bad_setting_ends_the_process_with_its_name() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "batchpool.reconciler"],
        env=os.environ | {"BATCHPOOL_RECONCILE_INTERVAL_S": "often"},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("BATCHPOOL_RECONCILE_INTERVAL_S='often': must be")


def test_the_load_is_sampled_while_a_batch_waits_or_runs(stage: Any, watched: Watched) -> None:
    watched.run(11)
    assert [each["samples"] for each in stage.get("/v1/classes")["classes"]] == [[]]
    job_id = stage.post(task="echo", count=4, batches=2)["id"]
    long_ago = {f"bp:job:{job_id}|0": Jobs(stage.redis).now_ms() - 90_000}
    stage.redis.zadd("bp:waiting", long_ago)
    watched.run(11)
    shown = stage.get("/v1/classes")
    Classes.model_validate(shown)
    [found] = shown["classes"]
    # The second one came too soon after the first by Redis' clock, as that of another reconciler.
    assert (found["id"], len(found["samples"])) == ("c311", 1)
    [sample] = found["samples"]
    assert (sample["queued"], sample["running"]) == (2, 0)
    assert 90 <= sample["oldest_s"] < 200


def test_180_samples_are_kept_for_a_while(redis: Redis) -> None:
    presence = Presence(redis)
    for at in range(190):
        presence.add_sample(LoadSample(at * 5000, {"c": ClassLoad(running=at)}))
    redis.lset("bp:samples", 7, "rubbish")
    kept = presence.samples()
    assert [sample.at_ms for sample in kept[:2]] == [50_000, 55_000]
    assert (len(kept), kept[-1].classes["c"].running) == (179, 189)
    assert 0 < redis.ttl("bp:samples") <= 1800
    assert [each.key for each in Broken(redis).all()] == ["bp:samples"]


def test_jobs_are_cancelled_and_deleted_by_a_filter(stage: Any, watched: Watched) -> None:
    ids = [stage.post(task=task, count=1)["id"] for task in ("echo", "echo", "cpu")]
    stage.run(ids[0])
    cancelled = stage.http.post("/v1/jobs/cancel?task=echo")
    assert (cancelled.status_code, cancelled.get_json()) == (202, {"taken": 1, "more": False})
    assert stage.get(f"/v1/jobs/{ids[1]}")["state"] == "queued"
    watched.run()
    assert [job["state"] for job in stage.get("/v1/jobs")["jobs"]] == [
        "queued",
        "cancelled",
        "succeeded",
    ]
    deleted = stage.http.delete("/v1/jobs?task=echo&state=cancelled")
    assert deleted.get_json() == {"taken": 1, "more": False}
    stage.redis.set("bp:job:odd", "of the wrong type")
    stage.redis.sadd("bp:bulk", "rubbish", "cancel|odd", f"delete|{ids[2]}", "cancel|" + "0" * 24)
    watched.run()
    # What has not ended is not deleted, whatever is asked for.
    assert [job["id"] for job in stage.get("/v1/jobs")["jobs"]] == [ids[2], ids[0]]
    assert not stage.redis.exists("bp:bulk")


def test_a_reconciler_is_as_idle_as_the_busiest_of_its_connections(redis_url: str) -> None:
    key = socket.gethostname(), os.getpid()
    with (
        connect(redis_url, name=client_name()) as busy,
        connect(redis_url, name=client_name()) as rare,
    ):
        for each in (busy, rare):
            each.ping()

        def idle_s() -> list[int]:
            busy.ping()
            named = [each for each in busy.client_list() if each["name"] == client_name()]
            return [int(each["idle"]) for each in named]

        wait_until(lambda: idle_s()[-1] >= 2, 10, "the one that connected last is idle")
        assert idle_reconcilers(busy)[key] <= 1

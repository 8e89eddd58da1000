"""The driver and its reservations step by step, with workers simulated by the test."""

import json
from typing import Any

import pytest
from redis import Redis

from batchpool.comparisons.driver import Driver
from batchpool.ledger import keys
from batchpool.ledger.comparisons import Comparisons
from batchpool.ledger.presence import Presence
from batchpool.ledger.reservations import Reservations, WorkerSlot
from batchpool.ledger.values.announcements import LiveWorker
from batchpool.ledger.values.comparison_entries import ComparisonEntry
from batchpool.queue import rq_queue
from batchpool.settings import ReconcilerSettings

REQUEST = {
    "task": "sleep",
    "count": 4,
    "params": {"seconds": 0.1},
    "arms": [{"backend": "sequential"}, {"backend": "thread-pool", "concurrency": 4, "batches": 2}],
    "rounds": 6,
    # The first run is one of the sequential arm.
    "seed": 3,
}
HOUR_MS = 3_600_000
WORKERS = {"w1": 11, "w2": 12}


class Scene:
    """A comparison that waits for two workers, and a driver whose steps the test runs."""

    def __init__(self, stage: Any) -> None:
        self.redis: Redis = stage.redis
        self.stage = stage
        self.now_s = 0.0
        self.driver = Driver(stage.redis, ReconcilerSettings.from_env({}), lambda: self.now_s)
        self.reservations = Reservations(stage.redis)
        self.workers = [stage.worker_document(name=name, pid=pid) for name, pid in WORKERS.items()]
        stage.announce(stage.capabilities(), *self.workers)
        response = stage.http.post("/v1/comparisons", json=REQUEST)
        assert response.status_code == 202, response.text
        self.id = response.get_json()["id"]

    def steps(self, count: int = 4) -> ComparisonEntry:
        for _ in range(count):
            self.driver.run_step()
        found = Comparisons(self.redis).load(self.id)
        assert found
        return found.entry

    def offer(self, slot: int) -> WorkerSlot:
        nonce: Any = self.redis.hget(keys.slots_key(self.id), f"want:{slot}")
        assert nonce, "no worker was requested"
        return WorkerSlot(self.id, slot, nonce.decode())

    def take(self, slot: int) -> None:
        worker = self.workers[slot]
        names = ("host", "cpus", "pid", "python", "gil")
        holder = {name: worker[name] for name in names} | {"worker": worker["name"]}
        assert self.reservations.take(self.offer(slot), holder)

    def announce(self, slot: int) -> None:
        reserved = {"comparison": self.id, "slot": slot}
        private = keys.private_class("c311", self.id, slot)
        changed = self.workers[slot] | {"class": private, "reserved": reserved}
        Presence(self.redis).announce(LiveWorker.from_json(changed), 60)

    def announce_home(self, slot: int) -> None:
        Presence(self.redis).announce(LiveWorker.from_json(self.workers[slot]), 60)


@pytest.fixture
def scene(bare: Any) -> Scene:
    return Scene(bare)


def test_no_run_starts_before_each_worker_announces_that_it_reads_its_queue(scene: Scene) -> None:
    scene.steps()
    scene.take(0)
    scene.announce(0)
    scene.take(1)
    assert scene.steps().job_id is None
    scene.announce(1)
    entry = scene.steps()
    assert entry.job_id is not None
    assert entry.notes.before and set(entry.notes.before.holders) == {"0", "1"}


def test_a_new_driver_vacates_no_slot_that_has_a_holder(scene: Scene) -> None:
    scene.steps()
    for slot in range(2):
        scene.take(slot)
        scene.announce(slot)
    before = scene.reservations.holders(scene.id)
    assert set(before) == {0, 1}
    scene.driver = Driver(scene.redis, ReconcilerSettings.from_env({}))
    # As if the lease of the earlier leader had expired.
    scene.redis.delete(keys.LEADER)
    assert scene.steps().job_id is not None
    assert scene.reservations.holders(scene.id) == before


def test_the_slot_of_a_lost_worker_is_offered_again_after_the_clock_was_set_back(
    scene: Scene,
) -> None:
    scene.steps()
    scene.take(0)
    slots = keys.slots_key(scene.id)
    scene.steps()
    assert not scene.redis.hexists(slots, "want:0")
    (held,) = scene.redis.hmget(slots, "0")
    assert held is not None
    later = {"ms": json.loads(held)["ms"] + HOUR_MS}
    scene.redis.hset(slots, "0", json.dumps(json.loads(held) | later))
    # Its message was popped, and is in no queue any more.
    scene.redis.delete("rq:queue:batchpool:c311")
    scene.now_s += 11
    scene.steps()
    assert scene.redis.hexists(slots, "want:0")


@pytest.mark.parametrize("follows", [True, False])
def test_a_step_of_the_clock_makes_no_comparison_too_long(scene: Scene, follows: bool) -> None:
    key = keys.comparison_key(scene.id)
    assert scene.steps().state == "running"
    scene.redis.hincrby(key, "started_ms", -3 * HOUR_MS)
    assert scene.steps().state == "running"
    if follows:
        # As the reconciler does.
        scene.redis.hincrby(key, "started_ms", 3 * HOUR_MS)
    for _ in range(2):
        scene.now_s += 6
        entry = scene.steps()
    assert entry.state == ("running" if follows else "failed")


def test_after_its_end_nothing_of_its_reservations_is_left(scene: Scene) -> None:
    scene.steps()
    scene.take(0)
    scene.announce(0)
    popped = scene.offer(1)
    assert scene.stage.http.post(f"/v1/comparisons/{scene.id}/cancel").status_code == 202
    scene.driver.run_step()
    scene.announce_home(0)
    assert scene.steps().state == "cancelled"
    assert not scene.reservations.take(popped, {"worker": "w2"}), "its message came too late"
    assert scene.reservations.request(scene.id, 0) is None
    left = {key.decode() for key in scene.redis.scan_iter("*")}
    assert keys.slots_key(scene.id) not in left and keys.RESERVED not in left
    assert not [name for name in left if name.startswith("rq:") and name != "rq:queues"]
    assert not [name for name in scene.redis.smembers("rq:queues") if b"~" in name]


def announce_upgraded(scene: Scene) -> None:
    """Replace the two workers by two of another class."""
    for name in WORKERS:
        scene.stage.leave(name)
    document = scene.stage.capabilities(id="new")
    upgraded = [scene.stage.worker_document(name=f"new {n}") | {"class": "new"} for n in "ab"]
    scene.stage.announce(document, *upgraded)
    scene.now_s += 2
    scene.steps(1)


def test_a_comparison_without_runs_moves_to_a_live_class(scene: Scene) -> None:
    scene.steps()
    assert rq_queue.queued_ids(scene.redis, "c311")[0]
    announce_upgraded(scene)
    assert scene.steps().class_id == "c311"
    scene.now_s += 16
    assert scene.steps().class_id == "new"
    assert rq_queue.queued_ids(scene.redis, "c311") == (frozenset(), frozenset())
    assert len(rq_queue.queued_ids(scene.redis, "new")[0]) == 2


def test_a_comparison_with_runs_ends_and_does_not_mix_the_code_of_two_classes(scene: Scene) -> None:
    job_id = begun(scene)
    announce_upgraded(scene)
    for _ in range(3):
        scene.now_s += 16
        assert scene.steps(1).state == "running", "a class that was away for so long came back"
    scene.now_s += 16
    entry = scene.steps(1)
    scene.now_s += 2
    entry = scene.steps(1)
    assert entry.error and (entry.state, entry.error["type"]) == ("failed", "workers_gone")
    assert scene.stage.get(f"/v1/jobs/{job_id}")["state"] == "cancelled"


def test_a_class_is_not_given_up_while_no_worker_is_live(scene: Scene) -> None:
    scene.steps()
    for name in WORKERS:
        scene.stage.leave(name)
    for _ in range(3):
        scene.now_s += 100
        entry = scene.steps()
    assert (entry.state, entry.class_id) == ("running", "c311")


def run_to_its_end(scene: Scene, job_id: str) -> None:
    """Do the batches of a run as the workers that are reserved for it."""
    for batch in range(len(scene.stage.get(f"/v1/jobs/{job_id}")["batches"])):
        scene.stage.run(job_id, batch)


def begun(scene: Scene) -> str:
    """The job of the first run."""
    scene.steps()
    for slot in range(2):
        scene.take(slot)
        scene.announce(slot)
    job_id = scene.steps().job_id
    assert job_id
    return job_id


@pytest.mark.parametrize("part", ["heads", "blocks"])
def test_a_run_whose_records_are_spoiled_holds_up_no_new_driver(scene: Scene, part: str) -> None:
    job_id = begun(scene)
    run_to_its_end(scene, job_id)
    entry = scene.steps()
    assert [(each.job_id, each.disturbed) for each in entry.samples] == [(job_id, None)]
    scene.redis.set(f"{keys.batch_key(job_id, 0)}:{part}", "x")
    scene.driver = Driver(scene.redis, ReconcilerSettings.from_env({}))
    scene.redis.delete(keys.LEADER)
    following = scene.steps().job_id
    assert following and following != job_id
    run_to_its_end(scene, following)
    assert len(scene.steps().samples) == 2
    assert [each["key"] for each in scene.stage.get("/v1/broken")["broken"]] == [
        keys.job_key(job_id)
    ]


def test_a_run_whose_records_cannot_be_read_is_repeated(scene: Scene) -> None:
    job_id = begun(scene)
    run_to_its_end(scene, job_id)
    scene.redis.set(f"{keys.batch_key(job_id, 0)}:blocks", "x")
    entry = scene.steps()
    assert [each.disturbed for each in entry.samples] == ["records of it cannot be read"]
    assert (entry.position, entry.attempt) == (0, 2)

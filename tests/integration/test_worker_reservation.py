"""Real workers that a comparison reserves: they serve it alone, and always come back."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from batchpool.ledger import keys
from batchpool.ledger.failpoints import MARKER, TESTING, VARIABLE
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.presence import Presence
from batchpool.ledger.reservations import Reservations, WorkerSlot
from batchpool.ledger.values.announcements import ReservedSlot
from batchpool.ledger.values.job_entries import NewJob
from batchpool.queue import rq_queue
from batchpool.queue.messages import Release, Reserve, reserve_id
from tests.support.job_specs import job_spec
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until

COMPARISON = "c0ffee"
GOES_BACK_WITHIN_S = 5 + 5  # what is promised, and what a loaded machine may add


class Driver:
    """The part of a comparison's driver that reserves and releases workers."""

    def __init__(self, crew: StackProcesses) -> None:
        self.crew = crew
        self.redis = crew.redis
        self.reservations = Reservations(crew.redis)
        self.redis.hset(keys.comparison_key(COMPARISON), "state", "running")
        self.jobs = 0

    @property
    def class_id(self) -> str:
        (document,) = Presence(self.redis).classes()
        return document.id

    def offer(self, slot: int = 0) -> WorkerSlot:
        taken = self.reservations.request(COMPARISON, slot)
        assert taken
        return taken

    def send(self, message: Reserve | Release, class_id: str) -> None:
        rq_queue.send(self.redis, class_id, message)

    def reserve(self, slot: int = 0) -> WorkerSlot:
        taken = self.offer(slot)
        self.send(Reserve(taken), self.class_id)
        wait_until(lambda: self.seated(taken), 10, "a worker is reserved")
        return taken

    def release(self, taken: WorkerSlot) -> None:
        self.send(Release(taken), self.private(taken))

    def private(self, taken: WorkerSlot) -> str:
        return keys.private_class(self.class_id, COMPARISON, taken.slot)

    def seated(self, taken: WorkerSlot) -> dict[str, Any] | None:
        """The announcement of the worker that reads the queue of this slot."""
        for worker in Presence(self.redis).workers():
            if worker.class_id == self.private(taken):
                assert worker.reserved == ReservedSlot(COMPARISON, taken.slot)
                return worker
        return None

    def is_back(self, name: str) -> bool:
        (worker,) = [w for w in Presence(self.redis).workers() if w.name == name]
        return worker.class_id == self.class_id and worker.reserved is None

    def post(self, taken: WorkerSlot, count: int = 3, seconds: float = 0.01) -> str:
        """A job of one batch, for the worker of this slot."""
        self.jobs += 1
        job_id, queue = f"{self.jobs:024x}", self.private(taken)
        spec = job_spec("sleep", params={"seconds": seconds}, count=count)
        new = NewJob(job_id, spec, [(0, count)], None, queue, 60, 60, 60)
        Jobs(self.redis).create(new, rq_queue.enqueue_commands(queue, [(job_id, 0)]))
        return job_id

    def worker_of(self, job_id: str) -> str:
        def ended() -> Any:
            job = Jobs(self.redis).load(job_id)
            return job if job and job.state == "succeeded" else None

        job = wait_until(ended, 20, "the job succeeded")
        return str(job.batches[0].epochs[-1]["worker"])


@pytest.fixture
def driver(crew: StackProcesses) -> Driver:
    return Driver(crew)


def name_of(driver: Driver, process: subprocess.Popen[bytes]) -> str:
    (name,) = [w.name for w in Presence(driver.redis).workers() if w.pid == process.pid]
    return str(name)


def end(driver: Driver, process: subprocess.Popen[bytes], how: signal.Signals) -> int:
    process.send_signal(how)
    code = process.wait(20)
    driver.crew.members.remove(process)
    return code


def test_a_reserved_worker_takes_the_batches_of_its_slot_alone(driver: Driver) -> None:
    (worker,) = driver.crew.start_workers(1)
    taken = driver.reserve()
    holder = driver.reservations.holder(COMPARISON, 0)
    assert holder and holder["pid"] == worker.pid and holder["worker"] == name_of(driver, worker)
    foreign = driver.crew.stage.post(task="echo", count=2)["id"]
    for _ in range(3):
        assert driver.worker_of(driver.post(taken)) == holder["worker"]
    assert driver.crew.stage.get(f"/v1/jobs/{foreign}")["state"] == "queued"
    assert [known.id for known in Presence(driver.redis).classes()] == [driver.class_id]
    driver.release(taken)
    assert driver.crew.finish(foreign)["state"] == "succeeded"
    assert driver.is_back(holder["worker"])
    assert driver.reservations.holders(COMPARISON) == {}


def test_the_api_shows_reserved_workers(driver: Driver) -> None:
    driver.crew.start_workers(2)
    driver.reserve(1)
    shown = driver.crew.stage.get("/v1/workers")["workers"]
    reserved = [worker["reserved"] for worker in shown]
    assert len(reserved) == 2 and reserved.count(None) == 1
    assert {"comparison": COMPARISON, "slot": 1} in reserved


def test_each_slot_gets_a_worker_of_its_own_and_the_others_continue_with_other_jobs(
    driver: Driver,
) -> None:
    driver.crew.start_workers(3)
    seats = [driver.reserve(slot) for slot in range(2)]
    names = [driver.worker_of(driver.post(taken)) for taken in seats]
    other = driver.crew.run(task="echo", count=2)["workers"]
    assert len({*names, *other}) == 3


def test_a_reserved_worker_whose_code_has_changed_leaves_its_slot(
    driver: Driver, tmp_path: Path
) -> None:
    text = "from batchpool.tasks import task\ntask('mine')(lambda item: 1)\n"
    (tmp_path / "mine.py").write_text(text)
    (worker,) = driver.crew.start_workers(1, BATCHPOOL_TASKS_DIR=str(tmp_path))
    before = driver.class_id
    driver.reserve()
    (tmp_path / "mine.py").write_text(text.replace("1", "2"))
    os.kill(driver.crew.runner_pid(worker), signal.SIGKILL)

    def is_of_new_class() -> bool:
        (worker,) = Presence(driver.redis).workers()
        return keys.base_class(worker.class_id) != before and worker.reserved is None

    wait_until(is_of_new_class, 30, "the worker is of a new class, and free")
    assert driver.reservations.holders(COMPARISON) == {}
    assert driver.crew.run(task="mine", count=2)["sum"] == 4


@pytest.mark.full
def test_two_copies_of_a_message_reserve_one_worker(driver: Driver) -> None:
    driver.crew.start_workers(2)
    taken = driver.offer()
    driver.send(Reserve(taken), driver.class_id)
    queue = f"rq:queue:{rq_queue.queue_name(driver.class_id)}"
    driver.redis.rpush(queue, reserve_id(COMPARISON, taken.slot))
    wait_until(lambda: driver.seated(taken), 10, "a worker is reserved")
    other = driver.crew.run(task="echo", count=2)["workers"]
    holder = driver.reservations.holder(COMPARISON, 0)
    assert holder and holder["worker"] not in other


@pytest.mark.full
def test_a_late_release_of_an_earlier_holder_releases_no_worker(driver: Driver) -> None:
    driver.crew.start_workers(1)
    taken = driver.reserve()
    driver.release(taken._replace(nonce="another"))
    # The queue is read in order: who runs this has read the message before.
    driver.worker_of(driver.post(taken))
    assert driver.seated(taken) and driver.reservations.is_current(taken)


@pytest.mark.parametrize(
    "gone", ["slot wanted anew", *full("comparison deleted", "comparison ended")]
)
def test_a_worker_goes_back_when_its_slot_is_gone_without_a_message(
    driver: Driver, gone: str
) -> None:
    (worker,) = driver.crew.start_workers(1)
    name = name_of(driver, worker)
    taken = driver.reserve()
    if gone == "comparison deleted":
        driver.redis.delete(keys.comparison_key(COMPARISON), keys.slots_key(COMPARISON))
    elif gone == "comparison ended":
        driver.redis.hset(keys.comparison_key(COMPARISON), "state", "cancelled")
    else:
        driver.offer(taken.slot)
    wait_until(lambda: driver.is_back(name), GOES_BACK_WITHIN_S, "the worker is back")
    assert driver.crew.run(task="echo", count=2)["workers"] == [name]
    assert driver.reservations.holders(COMPARISON) == {}


@pytest.mark.full
def test_a_comparison_that_no_longer_runs_reserves_no_worker(driver: Driver) -> None:
    (worker,) = driver.crew.start_workers(1)
    taken = driver.offer()
    driver.redis.hset(keys.comparison_key(COMPARISON), "state", "cancelled")
    driver.send(Reserve(taken), driver.class_id)
    assert driver.crew.run(task="echo", count=2)["workers"] == [name_of(driver, worker)]
    assert driver.reservations.holders(COMPARISON) == {}


def test_sigterm_ends_a_reserved_worker_and_leaves_its_slot(driver: Driver) -> None:
    (worker,) = driver.crew.start_workers(1)
    taken = driver.reserve()
    assert end(driver, worker, signal.SIGTERM) == 0
    assert not driver.reservations.is_current(taken)
    assert driver.reservations.holders(COMPARISON) == {}
    assert Presence(driver.redis).workers() == []
    assert not list(driver.redis.scan_iter("rq:workers*")), "RQ forgets it too"


def test_sigterm_in_mid_batch_gives_the_batch_back_and_leaves_the_slot(driver: Driver) -> None:
    (worker,) = driver.crew.start_workers(1)
    taken = driver.reserve()
    job_id = driver.post(taken, count=200, seconds=0.1)
    driver.crew.wait_running(job_id, recorded=1)
    assert end(driver, worker, signal.SIGTERM) == 0
    job = Jobs(driver.redis).load(job_id)
    assert job and job.batches[0].state == "queued"
    assert job.batches[0].epochs[-1]["end_reason"] == "released"
    assert driver.reservations.holders(COMPARISON) == {}


def test_after_a_sigkill_another_worker_takes_the_slot_when_it_is_offered_again(
    driver: Driver,
) -> None:
    crew = driver.crew
    crew.start_workers(2)
    taken = driver.reserve()
    holder = driver.reservations.holder(COMPARISON, 0)
    assert holder
    (dead,) = [member for member in crew.members if member.pid == holder["pid"]]
    assert end(driver, dead, signal.SIGKILL) == -signal.SIGKILL
    assert driver.reservations.holder(COMPARISON, 0) == holder, "nobody else takes it unasked"
    again = driver.offer()
    driver.send(Reserve(again), driver.class_id)
    wait_until(lambda: driver.reservations.is_current(again), 10, "the slot is taken again")
    successor = driver.reservations.holder(COMPARISON, 0)
    assert successor and successor["worker"] != holder["worker"]
    assert not driver.reservations.is_current(taken)
    assert driver.worker_of(driver.post(again)) == successor["worker"]


@pytest.mark.parametrize("point", ["after take", *full("after pop", "before take")])
def test_a_worker_killed_while_it_takes_a_slot_needs_one_more_request(
    driver: Driver, point: str, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    (armed,) = driver.crew.start_workers(1, **{VARIABLE: point, MARKER: str(mark), TESTING: "1"})
    taken = driver.offer()
    driver.send(Reserve(taken), driver.class_id)
    wait_until(mark.exists, 20, f"the kill at {point!r}")
    assert armed.wait(5) == -signal.SIGKILL
    driver.crew.members.remove(armed)
    (worker,) = driver.crew.start_workers(1)
    again = driver.reserve()
    holder = driver.reservations.holder(COMPARISON, 0)
    assert holder and holder["pid"] == worker.pid and holder["nonce"] == again.nonce
    assert driver.worker_of(driver.post(again)) == holder["worker"]


@pytest.mark.parametrize("point", ["after leave", *full("before leave")])
def test_a_worker_killed_while_it_leaves_can_be_replaced(
    driver: Driver, point: str, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    (armed,) = driver.crew.start_workers(1, **{VARIABLE: point, MARKER: str(mark), TESTING: "1"})
    taken = driver.reserve()
    driver.release(taken)
    wait_until(mark.exists, 20, f"the kill at {point!r}")
    assert armed.wait(5) == -signal.SIGKILL
    driver.crew.members.remove(armed)
    driver.crew.start_workers(1)
    again = driver.reserve()
    assert driver.worker_of(driver.post(again))
    assert not driver.reservations.is_current(taken)


def test_a_job_whose_workers_are_all_reserved_waits_and_is_not_parked(driver: Driver) -> None:
    driver.crew.start("batchpool.reconciler", BATCHPOOL_CLASS_GONE_S="1")
    driver.crew.start_workers(1)
    taken = driver.reserve()
    job_id = driver.crew.stage.post(task="echo", count=2)["id"]
    # Longer than it takes to call a class gone.
    driver.worker_of(driver.post(taken, count=25, seconds=0.1))
    (batch,) = driver.crew.stage.get(f"/v1/jobs/{job_id}")["batches"]
    assert batch["state"] == "queued" and batch["parked"] is None
    driver.release(taken)
    assert driver.crew.finish(job_id)["state"] == "succeeded"

"""A comparison completes after SIGKILLs of API, driver and workers, and no run is run twice.

The tasks themselves record each of their runs, so they are counted without the ledger.
"""

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from batchpool.ledger import keys
from batchpool.ledger.failpoints import MARKER, TESTING, VARIABLE
from batchpool.system.process_tree import descendants, is_alive
from tests.faults.apis import start_api
from tests.faults.conftest import LEASE_S
from tests.faults.servers import Server
from tests.support.sampling import full
from tests.support.stack_processes import TERMINAL, StackProcesses
from tests.support.waiting import wait_until

TASKS = str(Path(__file__).parent / "tasks")
ITEMS = 6
ROUNDS = 6
RUNS = 2 + 3 * ROUNDS
"""A warm-up round of both arms, then both arms and the control."""
WITHIN_S = 90


class Comparing:
    """A comparison of two arms of tasks that record their runs, observed from outside."""

    def __init__(self, crew: StackProcesses, log: Path) -> None:
        self.crew = crew
        self.log = log
        self.hold = log.with_name(f"{log.name}.hold")
        """While this file exists, tasks wait in the middle."""
        log.touch()
        self.order = {
            "task": "stamped",
            "params": {"path": str(log), "seconds": 0.02},
            "count": ITEMS,
            "arms": [{"backend": "sequential"}, {"backend": "thread-pool", "concurrency": 3}],
            "rounds": ROUNDS,
        }
        self.id = ""

    def post(self) -> None:
        answer = self.crew.stage.http.post("/v1/comparisons", json=self.order)
        assert answer.status_code == 202, answer.text
        self.id = answer.get_json()["id"]

    @property
    def path(self) -> str:
        return f"/v1/comparisons/{self.id}"

    def look(self) -> dict[str, Any]:
        found: dict[str, Any] = self.crew.stage.get(self.path)
        return found

    def wait_done(self, runs: int) -> dict[str, Any]:
        def done() -> dict[str, Any] | None:
            seen = self.look()
            return seen if seen["progress"]["done"] >= runs else None

        found: dict[str, Any] = wait_until(done, WITHIN_S, f"{runs} runs done")
        return found

    def wait_running(self) -> dict[str, Any]:
        """The job of the run under way, once one of its tasks runs."""

        def running() -> dict[str, Any] | None:
            job_id = self.look()["progress"]["job"]
            raw = self.crew.stage.http.get(f"/v1/jobs/{job_id}") if job_id else None
            job = raw.get_json() if raw is not None and raw.status_code == 200 else None
            return job if job and job["progress"]["running"] else None

        found: dict[str, Any] = wait_until(running, 30, "a run is under way")
        return found

    def finish(self) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            seen = self.look()
            return seen if seen["state"] in TERMINAL else None

        found: dict[str, Any] = wait_until(ended, WITHIN_S, "the comparison ended")
        return found

    def unrecorded(self, ended: dict[str, Any]) -> list[str]:
        """The task runs that no record of a sample's job has."""
        recorded = {
            record["value"]
            for sample in ended["samples"]
            for record in self.crew.records(sample["job_id"])
        }
        stamps = self.log.read_text().split()
        assert len(stamps) == len(set(stamps))
        assert recorded <= set(stamps)
        return [stamp for stamp in stamps if stamp not in recorded]

    def check_whole(self, ended: dict[str, Any]) -> None:
        """Check that each run of the plan has one valid sample, and no worker is left reserved."""
        assert ended["state"] == "succeeded", ended["error"]
        counted = [sample["run"] for sample in ended["samples"] if not sample["disturbed"]]
        assert counted == list(range(RUNS))
        places = [(sample["run"], sample["attempt"]) for sample in ended["samples"]]
        assert len(places) == len(set(places))
        assert [arm["rounds"] for arm in ended["arms"]] == [ROUNDS, ROUNDS]
        assert not self.crew.redis.exists(keys.RESERVED, keys.slots_key(self.id))
        assert [name for name in self.crew.redis.scan_iter("rq:*") if b"~" in name] == []
        assert not any(b"~" in name for name in self.crew.redis.smembers("rq:queues"))


def kill(crew: StackProcesses, member: Any) -> None:
    """SIGKILL a process, and those of its children that do not die with it."""
    below = descendants(member.pid)
    member.send_signal(signal.SIGKILL)
    assert member.wait(5) == -signal.SIGKILL
    crew.members.remove(member)
    for pid in below:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, below)), 5, "all of it is dead")


@pytest.fixture
def comparing(crew: StackProcesses, tmp_path: Path) -> Comparing:
    # A long lease: where no worker is killed, none must be lost to a machine that is too busy.
    crew.environ |= {"BATCHPOOL_TASKS_DIR": TASKS, "BATCHPOOL_LEASE_S": "20"}
    return Comparing(crew, tmp_path / "stamps")


@pytest.mark.parametrize(
    "point", ["after compare_step", *full("before compare_step", "after create")]
)
def test_after_a_driver_dies_at_a_step_another_continues_without_a_second_run(
    comparing: Comparing, tmp_path: Path, point: str
) -> None:
    crew, mark = comparing.crew, tmp_path / "mark"
    crew.start_workers(1)
    driver = crew.start("batchpool.reconciler")
    comparing.post()
    comparing.wait_done(3)
    kill(crew, driver)
    armed = {VARIABLE: point, MARKER: str(mark), TESTING: "1"}
    doomed = crew.start("batchpool.reconciler", **armed)
    wait_until(mark.exists, 30, f"the kill at {point!r}")
    assert doomed.wait(5) == -signal.SIGKILL
    crew.members.remove(doomed)
    crew.start("batchpool.reconciler")
    ended = comparing.finish()
    comparing.check_whole(ended)
    assert ended["progress"]["disturbed"] == 0
    assert comparing.unrecorded(ended) == []


@pytest.mark.full
def test_drivers_killed_again_and_again_and_two_at_once_run_nothing_twice(
    comparing: Comparing,
) -> None:
    crew, chance = comparing.crew, random.Random(5)
    crew.start_workers(1)
    comparing.post()
    drivers = [crew.start("batchpool.reconciler") for _ in range(2)]
    comparing.wait_done(2)
    for _ in range(3):
        time.sleep(chance.uniform(0.0, 0.3))
        kill(crew, drivers.pop(0))
        drivers.append(crew.start("batchpool.reconciler"))
        done = comparing.look()["progress"]["done"]
        comparing.wait_done(min(RUNS, done + 2))
    ended = comparing.finish()
    comparing.check_whole(ended)
    assert ended["progress"]["disturbed"] == 0
    assert comparing.unrecorded(ended) == []


@pytest.mark.full
def test_api_driver_and_a_worker_killed_in_mid_run_disturb_one_sample_that_is_repeated(
    comparing: Comparing,
) -> None:
    crew = comparing.crew
    crew.environ["BATCHPOOL_LEASE_S"] = str(LEASE_S)
    workers = crew.start_workers(2)
    driver = crew.start("batchpool.reconciler")
    url = start_api(crew)
    api = crew.members[-1]
    answer = httpx.post(url + "/v1/comparisons", json=comparing.order)
    comparing.id = answer.json()["id"]
    comparing.wait_done(3)
    comparing.hold.touch()
    job = comparing.wait_running()
    (epoch,) = job["batches"][0]["epochs"]
    (holder,) = [worker for worker in workers if worker.pid == epoch["ppid"]]
    for member in (api, driver, holder):
        kill(crew, member)
    assert crew.stage.get(f"/v1/jobs/{job['id']}")["state"] == "running"
    comparing.hold.unlink()
    crew.start("batchpool.reconciler")
    url = start_api(crew)
    assert httpx.get(url + comparing.path).json()["state"] == "running"
    ended = comparing.finish()
    comparing.check_whole(ended)
    (disturbed,) = [sample for sample in ended["samples"] if sample["disturbed"]]
    assert disturbed["job_id"] == job["id"]
    assert f"worker {epoch['worker']} was lost" in disturbed["disturbed"]
    again = [sample for sample in ended["samples"] if sample["run"] == disturbed["run"]]
    assert [sample["attempt"] for sample in again] == [1, 2]
    assert again[1]["disturbed"] is None
    # What the killed worker had begun is all that ran without a record.
    lost = comparing.unrecorded(ended)
    assert {stamp.split("-")[0] for stamp in lost} <= {str(epoch["pid"])}
    assert len(lost) <= ITEMS
    assert ended["arms"][0]["disturbed"] + ended["arms"][1]["disturbed"] <= 1
    assert httpx.get(url + comparing.path).json()["conclusion"] == ended["conclusion"] != []


@pytest.mark.full
def test_a_run_during_which_redis_was_away_is_repeated(
    comparing: Comparing, server: Server
) -> None:
    crew = comparing.crew
    crew.start_workers(1)
    crew.start("batchpool.reconciler")
    comparing.post()
    comparing.wait_done(3)
    comparing.hold.touch()
    job = comparing.wait_running()
    server.kill()
    time.sleep(1.0)
    server.start()
    comparing.hold.unlink()
    ended = comparing.finish()
    comparing.check_whole(ended)
    disturbed = [sample for sample in ended["samples"] if sample["disturbed"]]
    assert [sample["job_id"] for sample in disturbed] == [job["id"]]
    assert disturbed[0]["disturbed"] == "Redis did not answer during the run"
    assert comparing.unrecorded(ended) == []


@pytest.mark.parametrize("when", ["after", *full("before")])
def test_a_request_repeated_after_a_kill_is_one_comparison(
    comparing: Comparing, tmp_path: Path, when: str
) -> None:
    crew, mark = comparing.crew, tmp_path / "mark"
    crew.start_workers(1)
    url = start_api(crew, **{VARIABLE: f"{when} compare_create", MARKER: str(mark), TESTING: "1"})
    order: dict[str, Any] = {"json": comparing.order, "headers": {"Idempotency-Key": "once"}}
    with pytest.raises(httpx.TransportError):
        httpx.post(url + "/v1/comparisons", **order)
    assert crew.redis.zcard(keys.COMPARISONS) == (when == "after")
    first, second = (httpx.post(url + "/v1/comparisons", **order) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["id"] == second.json()["id"]
    assert crew.redis.zcard(keys.COMPARISONS) == 1


@pytest.mark.full
@pytest.mark.parametrize(
    ("what", "when"),
    [("delete", "before"), *full(("cancel", "before"), ("cancel", "after"), ("delete", "after"))],
)
def test_a_cancel_or_delete_repeated_after_a_kill_leaves_nothing(
    comparing: Comparing, tmp_path: Path, when: str, what: str
) -> None:
    crew, mark = comparing.crew, tmp_path / "mark"
    crew.start_workers(1)
    crew.start("batchpool.reconciler")
    armed = {VARIABLE: f"{when} compare_{what}", MARKER: str(mark), TESTING: "1"}
    # First: it may take as long to start as all runs of the comparison.
    api = start_api(crew, **armed)
    comparing.post()
    comparing.wait_done(1)
    url = api + comparing.path
    if what == "delete":
        comparing.crew.stage.http.post(comparing.path + "/cancel")
        comparing.finish()
    request = ("POST", f"{url}/cancel") if what == "cancel" else ("DELETE", url)
    with pytest.raises(httpx.TransportError):
        httpx.request(*request)
    assert mark.exists()
    repeated = httpx.request(*request).status_code
    if what == "cancel":
        # Repeated, there may be nothing left to cancel.
        assert repeated in (202, 409)
        assert comparing.finish()["state"] == "cancelled"
        assert httpx.delete(url).status_code == 204
    else:
        assert repeated == (204 if when == "before" else 404)
    assert list(crew.redis.scan_iter(f"*{comparing.id}*")) == []
    assert list(crew.redis.scan_iter("bp:job:*")) == []

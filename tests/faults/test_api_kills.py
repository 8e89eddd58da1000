"""The API, SIGKILLed before and after it creates, cancels or deletes: the client repeats itself."""

import json
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from batchpool.ledger import keys
from batchpool.ledger.failpoints import MARKER, TESTING, VARIABLE
from batchpool.system.process_tree import is_alive
from tests.faults.apis import start_api
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until

ITEMS = 30
POINTS = ["after", *full("before")]
ORDER = {"task": "sleep", "params": {"seconds": 0.05}, "count": ITEMS, "batches": 2}


class Killed:
    """An API whose serving process kills itself at a point, and what a client sees of it."""

    def __init__(self, crew: StackProcesses, mark: Path, point: str) -> None:
        self._crew = crew
        self._mark = mark
        self._url = start_api(crew, **{VARIABLE: point, MARKER: str(mark), TESTING: "1"})
        self._master = crew.members[-1]

    def breaks(self, method: str, path: str, **more: Any) -> None:
        """Send the request during which it dies."""
        with httpx.Client(base_url=self._url) as http, pytest.raises(httpx.TransportError):
            http.request(method, path, **more)
        killed = int(self._mark.read_text())
        wait_until(lambda: not is_alive(killed), 5, "the kill at the point")

    def again(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send it to the process that took its place, and to one that was started anew."""
        first = httpx.request(method, self._url + path, **more)
        self._master.send_signal(signal.SIGKILL)
        self._master.wait(5)
        self._crew.members.remove(self._master)
        second = httpx.request(method, start_api(self._crew) + path, **more)
        if method == "POST" and first.status_code == 202 == second.status_code:
            assert first.json()["id"] == second.json()["id"]
        return first


@pytest.mark.parametrize("when", POINTS)
def test_an_order_repeated_after_a_kill_is_one_job(
    crew: StackProcesses, tmp_path: Path, when: str
) -> None:
    crew.start_workers(1)
    api = Killed(crew, tmp_path / "mark", f"{when} create")
    order: dict[str, Any] = {"json": ORDER, "headers": {"Idempotency-Key": "once"}}
    api.breaks("POST", "/v1/jobs", **order)
    assert crew.redis.zcard(keys.JOBS) == (when == "after")
    answer = api.again("POST", "/v1/jobs", **order)
    assert answer.status_code == 202
    job_id = answer.json()["id"]
    assert answer.headers["Location"] == f"/v1/jobs/{job_id}"
    assert [job["id"] for job in crew.stage.get("/v1/jobs")["jobs"]] == [job_id]
    job = crew.finish(job_id)
    assert (job["state"], job["sum"]) == ("succeeded", sum(range(ITEMS)))
    assert [len(batch["epochs"]) for batch in job["batches"]] == [1, 1]


@pytest.mark.full
@pytest.mark.parametrize("when", POINTS)
def test_several_jobs_repeated_after_a_kill_are_all_there_once(
    crew: StackProcesses, tmp_path: Path, when: str
) -> None:
    crew.start_workers(1)
    api = Killed(crew, tmp_path / "mark", f"{when} create")
    jobs = [{"task": "echo", "count": count} for count in (1, 0, 3)]
    order: dict[str, Any] = {"json": {"jobs": jobs}, "headers": {"Idempotency-Key": "once"}}
    api.breaks("POST", "/v1/jobs/bulk", **order)
    assert crew.redis.zcard(keys.JOBS) == (2 if when == "after" else 0)
    answers = api.again("POST", "/v1/jobs/bulk", **order).json()["jobs"]
    assert [each["status"] for each in answers] == [202, 422, 202]
    assert crew.redis.zcard(keys.JOBS) == 2
    assert [crew.finish(each["id"])["sum"] for each in answers[::2]] == [0, 3]


@pytest.mark.full
@pytest.mark.parametrize(
    "point", ["after upload", *full("before upload", "before create", "after create")]
)
def test_an_upload_repeated_after_a_kill_is_one_job(
    crew: StackProcesses, tmp_path: Path, point: str
) -> None:
    crew.start_workers(1)
    api = Killed(crew, tmp_path / "mark", point)
    job = {name: value for name, value in ORDER.items() if name != "count"}
    headers = {"Content-Type": "application/x-ndjson", "Batchpool-Job": json.dumps(job)}
    lines = b"".join(b"%d\n" % n for n in range(ITEMS))
    order: dict[str, Any] = {"content": lines, "headers": headers | {"Idempotency-Key": "once"}}
    api.breaks("POST", "/v1/jobs", **order)
    assert crew.redis.zcard(keys.JOBS) == (point == "after create")
    left = list(crew.redis.scan_iter("bp:upload:*"))
    assert len(left) == (point in ("after upload", "before create"))
    assert all(0 < crew.redis.ttl(key) <= 600 for key in left)
    answer = api.again("POST", "/v1/jobs", **order)
    assert answer.status_code == 202
    assert list(crew.redis.scan_iter("bp:upload:*")) == left
    done = crew.finish(answer.json()["id"])
    assert (done["state"], done["sum"]) == ("succeeded", sum(range(ITEMS)))
    assert crew.redis.zcard(keys.JOBS) == 1


@pytest.mark.full
@pytest.mark.parametrize("when", POINTS)
def test_a_cancel_repeated_after_a_kill_ends_the_job(
    crew: StackProcesses, tmp_path: Path, when: str
) -> None:
    crew.start_workers(1)
    job_id = crew.stage.post(**ORDER | {"params": {"seconds": 60}})["id"]
    crew.wait_running(job_id)
    api = Killed(crew, tmp_path / "mark", f"{when} cancel")
    path = f"/v1/jobs/{job_id}/cancel"
    api.breaks("POST", path)
    # Repeated, there may be nothing left to cancel.
    assert api.again("POST", path).status_code in ((202,) if when == "before" else (202, 409))
    job = crew.finish(job_id, 5)
    assert job["state"] == "cancelled" and job["progress"]["cancelled"] == ITEMS


@pytest.mark.full
@pytest.mark.parametrize("when", POINTS)
def test_a_delete_repeated_after_a_kill_leaves_nothing(
    crew: StackProcesses, tmp_path: Path, when: str
) -> None:
    crew.start_workers(1)
    job_id = crew.run(**ORDER)["id"]
    api = Killed(crew, tmp_path / "mark", f"{when} delete")
    path = f"/v1/jobs/{job_id}"
    api.breaks("DELETE", path)
    if when == "before":
        assert [record["value"] for record in crew.records(job_id)] == list(range(ITEMS))
    else:
        assert list(crew.redis.scan_iter(f"*{job_id}*")) == []
    assert api.again("DELETE", path).status_code == (204 if when == "before" else 404)
    assert list(crew.redis.scan_iter(f"*{job_id}*")) == []
    assert crew.stage.get("/v1/jobs")["jobs"] == []

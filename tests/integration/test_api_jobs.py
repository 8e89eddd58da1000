"""The job routes against a real Valkey; the workers are announced, and do what a test says."""

import threading
import time
from typing import Any

import pytest

from tests.support.waiting import check_time


def test_a_path_without_its_id_is_no_other_path(stage: Any) -> None:
    # With slashes merged this would be the cancelling of all jobs.
    response = stage.http.post("/v1/jobs//cancel", json={})
    assert (response.status_code, response.mimetype) == (404, "application/problem+json")


def test_a_posted_job_is_queued_with_its_defaults_filled_in(stage: Any) -> None:
    response = stage.http.post("/v1/jobs", json={"task": "sleep", "count": 5, "batches": 2})
    assert response.status_code == 202
    job = response.get_json()
    assert response.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert job["state"] == "queued"
    assert job["spec"] == {
        "task": "sleep",
        "params": {"seconds": 1.0},
        "items": {
            "count": 5,
            # printf '[0,1,2,3,4]' | sha256sum
            "sha256": "7f2c5f390b0c7e30e5a644380decea0554bbb62cfc03eff193d13a8c1a117708",
            "first": [0, 1, 2, 3, 4],
        },
        "backend": "thread-pool",
        "concurrency": 6,
        "batches": 2,
        "dispatch": "map",
        "chunksize": None,
        "start_method": None,
        "pool": "warm",
        "shared_sum": "none",
        "task_timeout_s": None,
        "timeout_s": 3600.0,
        "queue_timeout_s": 86400.0,
        "retries": 0,
        "on_error": "continue",
        "measure": False,
        "logs": True,
        "labels": {},
    }
    assert [batch["items"] for batch in job["batches"]] == [3, 2]
    assert job["waiting_for"]["code"] == "queue"
    assert job["progress"]["pending"] == 5
    queued = stage.redis.lrange("rq:queue:batchpool:c311", 0, -1)
    assert queued == [f"{job['id']}-0".encode(), f"{job['id']}-1".encode()]


@pytest.mark.parametrize(
    ("backend", "concurrency", "start_method", "pool"),
    [
        ("sequential", 1, None, None),
        ("threading", 6, None, None),
        ("multiprocessing", 2, "forkserver", None),
        ("thread-pool", 6, None, "warm"),
        ("process-pool", 2, "forkserver", "warm"),
        ("asyncio", 6, None, None),
    ],
)
def test_defaults_follow_the_backend_and_the_cpus_of_the_workers(
    stage: Any, backend: str, concurrency: int, start_method: str | None, pool: str | None
) -> None:
    spec = stage.post(task="sleep", count=1, backend=backend)["spec"]
    assert spec["concurrency"] == concurrency
    assert spec["start_method"] == start_method
    assert spec["pool"] == pool


@pytest.mark.parametrize(
    ("task", "backend"), [("stream", "asyncio"), ("cpu", "process-pool"), ("echo", "thread-pool")]
)
@pytest.mark.parametrize("named", [{}, {"backend": None}])
def test_a_job_without_a_backend_gets_the_one_that_suits_its_task(
    stage: Any, task: str, backend: str, named: dict[str, Any]
) -> None:
    job = stage.post(task=task, count=1, **named)
    assert job["spec"]["backend"] == backend
    stage.run(job["id"])
    assert stage.get(f"/v1/jobs/{job['id']}")["state"] == "succeeded"


@pytest.mark.parametrize(
    ("live", "backend", "goes_to"), [("", "process-pool", "c311"), ("xy", "thread-pool", "c312")]
)
def test_the_live_workers_say_what_suits_a_task(
    stage: Any, live: str, backend: str, goes_to: str
) -> None:
    """Two versions of a task may differ in it: the one that most workers have decides."""
    document = stage.capabilities(id="c312")
    document["tasks"]["cpu"]["bound"] = "io"
    stage.announce(document, *(stage.worker_document(name=n, **{"class": "c312"}) for n in live))
    job = stage.post(task="cpu", count=1)
    assert job["spec"]["backend"] == backend
    queued = stage.redis.lrange(f"rq:queue:batchpool:{goes_to}", 0, -1)
    assert queued == [f"{job['id']}-0".encode()]


def test_the_contracts_own_example_is_accepted(stage: Any) -> None:
    spec = stage.post(
        task="sleep",
        params={"seconds": 2},
        count=5,
        backend="thread-pool",
        concurrency=10,
        batches=1,
        dispatch="map",
        chunksize=None,
        start_method=None,
        pool="warm",
        shared_sum="global",
        task_timeout_s=None,
        timeout_s=600,
        queue_timeout_s=86400,
        retries=0,
        on_error="continue",
        labels={"run": "notebook"},
    )["spec"]
    assert spec["labels"] == {"run": "notebook"}
    assert spec["concurrency"] == 10


def test_a_run_job_shows_its_sum_and_its_records(stage: Any) -> None:
    job = stage.post(task="echo", items=[1, 2.5, "x", 10**40], batches=2)
    stage.run(job["id"], 0)
    assert stage.get(f"/v1/jobs/{job['id']}")["state"] == "running"
    stage.run(job["id"], 1)
    job = stage.get(f"/v1/jobs/{job['id']}")
    assert job["state"] == "succeeded"
    assert job["sum"] == 1e40
    assert job["progress"]["succeeded"] == 4
    page = stage.get(f"/v1/jobs/{job['id']}/records?limit=3")
    assert [record["value"] for record in page["records"]] == [1, 2.5, "x"]
    rest = stage.get(f"/v1/jobs/{job['id']}/records?cursor={page['next']}")
    assert [record["value"] for record in rest["records"]] == [10**40]
    assert rest["next"] is None


def test_a_sum_longer_than_python_reads_is_written_in_full(stage: Any) -> None:
    large = 10**4299
    job = stage.post(task="echo", items=[large] * 20)
    stage.run(job["id"])
    text = stage.http.get(f"/v1/jobs/{job['id']}").text
    assert '"sum":2' + "0" * 4300 + "," in text


def test_a_job_goes_to_the_class_that_can_run_it(stage: Any) -> None:
    document = stage.capabilities(
        id="c314", python="3.14", backends=["interpreter-pool", "thread-pool"]
    )
    stage.announce(document)
    job = stage.post(task="echo", count=1, backend="interpreter-pool")
    assert stage.redis.lrange("rq:queue:batchpool:c314", 0, -1) == [f"{job['id']}-0".encode()]
    # Both could run this one, but only the other class has a worker that lives.
    stage.post(task="echo", count=1)
    assert stage.redis.llen("rq:queue:batchpool:c311") == 1


def test_a_job_is_accepted_while_all_workers_are_away(stage: Any) -> None:
    stage.leave("w1")
    assert stage.get("/v1/workers") == {"workers": []}
    assert stage.post(task="echo", count=1)["state"] == "queued"


def test_waiting_ends_as_soon_as_the_job_does(stage: Any) -> None:
    job = stage.post(task="echo", count=2)
    got: list[tuple[float, dict[str, Any]]] = []

    def wait() -> None:
        found = stage.get(f"/v1/jobs/{job['id']}?wait=30")
        got.append((time.monotonic(), found))

    waiter = threading.Thread(target=wait)
    waiter.start()
    stage.until(lambda: stage.redis.info("clients")["blocked_clients"] == 1)
    stage.run(job["id"])
    ended = time.monotonic()
    waiter.join(10)
    assert got[0][1]["state"] == "succeeded"
    assert got[0][0] - ended < 0.5


def test_waiting_ends_at_its_time_with_the_job_as_it_is(stage: Any) -> None:
    job = stage.post(task="echo", count=1)
    began = time.monotonic()
    found = stage.get(f"/v1/jobs/{job['id']}?wait=0.3")
    took_s = time.monotonic() - began
    assert took_s > 0.25
    check_time("a wait of 0.3 s", took_s, 2)
    assert found["state"] == "queued"


def test_an_order_may_wait_for_its_end_in_the_same_request(stage: Any) -> None:
    answers: list[Any] = []

    def order() -> None:
        with stage.app.test_client() as http:
            answers.append(http.post("/v1/jobs?wait=30", json={"task": "echo", "count": 3}))

    waiter = threading.Thread(target=order)
    waiter.start()
    stage.until(lambda: stage.redis.info("clients")["blocked_clients"] == 1)
    assert not answers
    (job,) = stage.get("/v1/jobs")["jobs"]
    stage.run(job["id"])
    waiter.join(10)
    (response,) = answers
    assert response.status_code == 202
    assert response.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert (response.get_json()["state"], response.get_json()["sum"]) == ("succeeded", 3)


def test_an_order_that_waits_in_vain_is_answered_as_it_stands(stage: Any) -> None:
    response = stage.http.post("/v1/jobs?wait=0.2", json={"task": "echo", "count": 1})
    assert (response.status_code, response.get_json()["state"]) == (202, "queued")
    refused = stage.http.post("/v1/jobs?wait=soon", json={"task": "echo", "count": 1})
    assert refused.status_code == 422
    assert [error["field"] for error in refused.get_json()["errors"]] == ["wait"]


def test_with_too_many_waiting_a_further_one_is_answered_at_once(stage: Any) -> None:
    job = stage.post(task="echo", count=1)
    slots = stage.app.extensions["batchpool"].waits
    taken = 0
    while slots.acquire():
        taken += 1
    response = stage.http.get(f"/v1/jobs/{job['id']}?wait=30")
    assert response.get_json()["state"] == "queued"
    assert response.headers["Retry-After"] == "1"
    for _ in range(taken):
        slots.release()


def test_a_queued_job_is_cancelled_at_once_and_again_is_a_conflict(stage: Any) -> None:
    job = f"/v1/jobs/{stage.post(task='echo', count=3)['id']}"
    response = stage.http.post(job + "/cancel")
    assert response.status_code == 202
    assert response.get_json()["state"] == "cancelled"
    assert response.get_json()["progress"]["cancelled"] == 3
    assert stage.http.post(job + "/cancel").status_code == 409
    records = stage.get(job + "/records")["records"]
    assert [record["state"] for record in records] == ["cancelled"] * 3


def test_cancelling_a_running_job_is_idempotent(stage: Any) -> None:
    job = stage.post(task="echo", count=3)
    stage.claim(job["id"])
    for _ in range(2):
        response = stage.http.post(f"/v1/jobs/{job['id']}/cancel")
        assert response.status_code == 202
        assert response.get_json()["state"] == "running"


def test_a_retry_is_a_new_job_of_what_has_no_success(stage: Any) -> None:
    job = stage.post(task="echo", items=["a", "b", "c", "d"], batches=2, labels={"x": "y"})
    path = f"/v1/jobs/{job['id']}"
    assert stage.http.post(path + "/retry").status_code == 409
    stage.run(job["id"], 0, fail=frozenset([1]))
    stage.run(job["id"], 1, fail=frozenset([3]))
    response = stage.http.post(path + "/retry")
    assert response.status_code == 202
    again = response.get_json()
    assert again["id"] != job["id"]
    assert again["spec"]["items"]["first"] == ["b", "d"]
    assert again["spec"]["labels"] == {"x": "y"}
    assert again["links"]["retry_of"] == path
    for batch in (0, 1):
        stage.run(again["id"], batch)
    response = stage.http.post(f"/v1/jobs/{again['id']}/retry")
    assert response.status_code == 409
    assert "nothing to retry" in response.get_json()["detail"]


def test_of_a_deleted_job_nothing_stays(stage: Any) -> None:
    before = set(stage.redis.keys("*"))
    job = stage.post(task="echo", items=["a", "b"], batches=2)
    path = f"/v1/jobs/{job['id']}"
    assert stage.http.delete(path).status_code == 409
    stage.run(job["id"], 0)
    stage.http.post(path + "/cancel")
    response = stage.http.delete(path)
    assert response.status_code == 204
    assert response.data == b""
    assert stage.http.get(path).status_code == 404
    assert stage.http.delete(path).status_code == 404
    assert set(stage.redis.keys("*")) - before <= {b"rq:queues", b"bp:counts"}


def test_the_list_pages_newest_first_through_all_jobs(stage: Any) -> None:
    ids = [stage.post(task="echo", count=1)["id"] for _ in range(7)]
    seen: list[str] = []
    path = "/v1/jobs?limit=3"
    while path:
        response = stage.http.get(path)
        seen += [job["id"] for job in response.get_json()["jobs"]]
        link = response.headers.get("Link", "")
        assert bool(link) == (response.get_json()["next"] is not None)
        path = link.partition(">")[0].removeprefix("<")
    assert sorted(seen) == sorted(ids)
    assert len(set(seen)) == 7


def test_the_list_is_filtered_by_state_and_task(stage: Any) -> None:
    done = stage.post(task="echo", count=1)["id"]
    stage.run(done)
    other = stage.post(task="sleep", count=1)["id"]
    queued = stage.post(task="echo", count=1)["id"]

    def found(query: str) -> set[str]:
        return {job["id"] for job in stage.get(f"/v1/jobs?{query}")["jobs"]}

    assert found("state=succeeded") == {done}
    assert found("task=sleep") == {other}
    assert found("task=echo&state=queued") == {queued}
    assert found("state=cancelled") == set()


def test_the_answer_to_an_order_is_what_a_look_at_the_job_answers(stage: Any) -> None:
    order = {"task": "sleep", "params": {"seconds": 0.5}, "items": [1, {"a": None}, "x"]}
    ordered = stage.post(**order, batches=2, shared_sum="global", labels={"b": "1", "a": "2"})
    seen = stage.get(f"/v1/jobs/{ordered['id']}")
    # It has waited a little longer by then.
    assert seen["timing"].pop("queue_s") >= ordered["timing"].pop("queue_s") == 0
    assert seen == ordered


def test_workers_that_come_or_change_are_seen_before_an_order_is_refused(stage: Any) -> None:
    assert stage.post(422, task="brand-new", count=1)
    document = stage.capabilities()
    document["tasks"]["brand-new"] = document["tasks"]["echo"]
    stage.announce(document)
    stage.post(task="brand-new", count=1)


def test_jobs_that_match_are_retried_once_each(stage: Any) -> None:
    failed = [stage.post(task="echo", count=3, labels={"run": "1"})["id"] for _ in range(3)]
    other = stage.post(task="echo", count=3)["id"]
    for job_id in (*failed, other):
        stage.run(job_id, fail=frozenset({1}))

    def retried() -> Any:
        response = stage.http.post("/v1/jobs/retry?label=run%3D1")
        assert response.status_code == 202
        return response.get_json()

    assert retried() == {"taken": 3, "refused": 0, "more": False}
    assert retried() == {"taken": 0, "refused": 0, "more": False}
    again = stage.get("/v1/jobs?state=queued")["jobs"]
    assert {job["spec"]["retry_of"] for job in again} == set(failed)
    assert [job["progress"]["total"] for job in again] == [1, 1, 1]
    # A retry that failed matches in its turn.
    stage.run(again[0]["id"], fail=frozenset({0}))
    assert retried() == {"taken": 1, "refused": 0, "more": False}
    assert stage.http.post("/v1/jobs/retry").status_code == 422

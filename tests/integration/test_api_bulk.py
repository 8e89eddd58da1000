"""POST /v1/jobs/bulk: each job is answered as if alone, and all good ones are stored at once."""

from typing import Any

import pytest

QUEUE = "rq:queue:batchpool:c311"
GOOD: dict[str, Any] = {"task": "echo", "count": 3}
BAD: list[Any] = [
    {"task": "nope", "count": 1},
    {"task": "echo", "count": 0},
    {"task": "echo", "count": 1, "key": "k"},
    "no object",
    [1],
]


def send(stage: Any, *jobs: Any, status: int = 207, key: str | None = None) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    response = stage.http.post("/v1/jobs/bulk", json={"jobs": list(jobs)}, headers=headers)
    assert response.status_code == status, response.text
    return response.get_json()["jobs"] if status == 207 else response.get_json()


def stored(stage: Any) -> list[str]:
    return [job["id"] for job in stage.get("/v1/jobs")["jobs"]]


def test_good_and_bad_jobs_are_answered_in_their_order(stage: Any) -> None:
    batches = {"count": 4, "batches": 2}
    answers = send(stage, GOOD, *BAD, GOOD | batches, {"task": "echo", "items": ["a"]})
    assert [each["status"] for each in answers] == [202, *[422] * len(BAD), 202, 202]
    ids = [each["id"] for each in answers if each["job"]]
    assert ids == sorted(set(ids)) and sorted(stored(stage)) == ids
    assert [each["job"]["id"] for each in answers if each["job"]] == ids
    queued = [name.decode() for name in stage.redis.lrange(QUEUE, 0, -1)]
    assert queued == [f"{ids[0]}-0", f"{ids[1]}-0", f"{ids[1]}-1", f"{ids[2]}-0"]
    for job_id in ids[::2]:
        stage.run(job_id)
    assert [stage.get(f"/v1/jobs/{each}")["sum"] for each in ids[::2]] == [3, None]


@pytest.mark.parametrize("bad", BAD)
def test_a_job_is_refused_as_it_would_be_alone(stage: Any, bad: Any) -> None:
    alone = stage.http.post("/v1/jobs", json=bad).get_json()
    (answer,) = send(stage, bad)
    assert answer["problem"] == alone | {"instance": "/v1/jobs/bulk"}
    assert (answer["status"], answer["id"], answer["job"]) == (alone["status"], None, None)
    assert stored(stage) == [] and not stage.redis.exists(QUEUE)


def test_a_thousand_jobs_are_stored_and_one_more_is_not(stage: Any) -> None:
    assert send(stage, *[GOOD] * 1001, status=422)["errors"][0]["field"] == "jobs"
    assert stored(stage) == []
    answers = send(stage, *[GOOD] * 1000)
    assert {each["status"] for each in answers} == {202}
    assert stage.redis.llen(QUEUE) == stage.redis.zcard("bp:jobs") == 1000
    counts = stage.redis.hgetall("bp:counts")
    assert (counts[b"queued"], counts[b"queued_items"], counts[b"open_items"]) == (
        b"1000",
        b"3000",
        b"3000",
    )


def test_a_key_makes_all_jobs_one_request(stage: Any) -> None:
    jobs = [GOOD, BAD[0], GOOD | {"count": 1}]
    first = send(stage, *jobs, key="k")
    assert send(stage, *jobs, key="k") == first
    assert len(stored(stage)) == 2
    assert send(stage, *jobs[::-1], key="k", status=409)["title"] == "Conflict"
    gone = first[0]["id"]
    stage.run(gone)
    assert stage.http.delete(f"/v1/jobs/{gone}").status_code == 204
    again = send(stage, *jobs, key="k")
    assert again[0] == {"status": 202, "id": gone, "job": None, "problem": None}
    assert again[1:] == first[1:]


def test_what_a_request_refused_its_replay_does_not_store(stage: Any) -> None:
    late = {"task": "late", "count": 1}
    refused = send(stage, GOOD, late, key="k")[1]
    assert refused["status"] == 422
    document = stage.capabilities()
    document["tasks"]["late"] = document["tasks"]["echo"]
    stage.announce(document, stage.worker_document())
    stage.until(lambda: send(stage, late)[0]["status"] == 202)
    assert [each["status"] for each in send(stage, GOOD, late, key="k")] == [202, 409]
    assert len(stored(stage)) == 2

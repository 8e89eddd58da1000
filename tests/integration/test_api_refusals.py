"""What the API refuses: with which status, naming what, and without ever failing itself."""

import gc
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchpool.api.server import tune_collector

ORDER = {"task": "sleep", "count": 2}


def _problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.mimetype == "application/problem+json"
    found: dict[str, Any] = response.get_json()
    assert {"type", "title", "status", "detail", "instance"} <= found.keys()
    assert found["status"] == status
    assert "Traceback" not in response.text
    return found


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"task": "nope"}, "task", "known: cpu, echo, sleep, stream"),
        ({"task": "nope"}, "task", "could not be loaded (see GET /v1/tasks): mine.py"),
        ({"task": "os.system"}, "task", "unknown"),
        ({"task": 5}, "task", "string"),
        ({"count": 0}, "count", "greater than or equal to 1"),
        ({"count": True}, "count", "whole number"),
        ({"count": "5"}, "count", "whole number"),
        ({"count": 1.5}, "count", "whole number"),
        ({"count": 1_000_001}, "count", "allowed are 1 to 1000000"),
        ({"count": 10**30}, "count", "allowed are 1 to 1000000"),
        ({"items": [1]}, "count", "exactly one"),
        ({"count": None}, "count", "exactly one"),
        ({"count": None, "items": []}, "items", "at least one"),
        ({"count": None, "items": {"a": 1}}, "items", "list"),
        ({"batches": 3}, "batches", "allowed are 1 to 2"),
        ({"batches": 10**30}, "batches", "allowed are 1 to 2"),
        ({"params": {"seconds": -1}}, "params.seconds", "minimum"),
        ({"params": {"seconds": "1"}}, "params.seconds", "number"),
        ({"params": {"seconds": True}}, "params.seconds", "number"),
        ({"params": {"minutes": 1}}, "params.minutes", "known: seconds"),
        ({"params": [1]}, "params", "object"),
        ({"backend": "forkbomb"}, "backend", "known: sequential, threading"),
        ({"backend": "interpreter-pool"}, "backend", "seen: Python 3.11"),
        ({"task": "cpu", "backend": "asyncio"}, "backend", "async form"),
        ({"task": "stream"}, "backend", "plain form"),
        ({"backend": "threading", "task_timeout_s": 1}, "task_timeout_s", "process-pool"),
        ({"backend": "sequential", "dispatch": "map"}, "dispatch", "thread-pool"),
        ({"backend": "asyncio", "chunksize": 2}, "chunksize", "process-pool"),
        ({"backend": "multiprocessing", "pool": "warm"}, "pool", "process-pool"),
        ({"backend": "auto", "pool": "warm"}, "pool", "chooses this by itself"),
        ({"backend": "auto", "start_method": "fork"}, "start_method", "chooses this by itself"),
        ({"backend": "auto", "shared_sum": "global"}, "shared_sum", "no shared sum"),
        ({"backend": "auto", "task_timeout_s": 1}, "task_timeout_s", "process-pool"),
        ({"start_method": "fork"}, "start_method", "multiprocessing"),
        ({"backend": "process-pool", "start_method": "vfork"}, "start_method", "fork, spawn"),
        ({"backend": "process-pool", "concurrency": 257}, "concurrency", "1 to 256"),
        ({"concurrency": 0}, "concurrency", "greater than or equal to 1"),
        ({"retries": 21}, "retries", "less than or equal to 20"),
        ({"retries": -1}, "retries", "greater than or equal to 0"),
        ({"timeout_s": 0}, "timeout_s", "greater than 0"),
        ({"timeout_s": "60"}, "timeout_s", "number"),
        ({"timeout_s": False}, "timeout_s", "number"),
        ({"timeout_s": 10**400}, "timeout_s", ""),
        ({"queue_timeout_s": None}, "queue_timeout_s", "number"),
        ({"on_error": "panic"}, "on_error", "'continue' or 'stop'"),
        ({"shared_sum": "quantum"}, "shared_sum", "'none', 'global', 'locked' or 'racy'"),
        ({"labels": {"a": 1}}, "labels", "text"),
        ({"labels": {str(n): "" for n in range(33)}}, "labels", "allowed are 32"),
        ({"bogus": 1}, "bogus", "unknown field; known: task, params"),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value)[:30],
)
def test_a_field_out_of_bounds_is_named(
    stage: Any, change: dict[str, Any], field: str, says: str
) -> None:
    problem = _problem(stage.http.post("/v1/jobs", json=ORDER | change), 422)
    errors = {error["field"]: error["message"] for error in problem["errors"]}
    assert list(errors) == [field]
    assert says in errors[field]


def test_a_missing_task_is_named(stage: Any) -> None:
    problem = _problem(stage.http.post("/v1/jobs", json={"count": 1}), 422)
    assert problem["errors"] == [{"field": "task", "message": "Field required"}]


def test_several_wrong_fields_are_all_named(stage: Any) -> None:
    body = {"count": -1, "retries": 99, "zip": 1, "zap": 2}
    problem = _problem(stage.http.post("/v1/jobs", json=body), 422)
    assert {error["field"] for error in problem["errors"]} == {
        "count",
        "retries",
        "task",
        "zip",
        "zap",
    }


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"{", "line 1, column"),
        (b"{'task': 1}", "not JSON"),
        (b'{"count": NaN}', "NaN is not JSON"),
        (b'{"count": -Infinity}', "-Infinity is not JSON"),
        (b'{"count": 1e999}', "too large for a float"),
        (b'{"count": -1%s.0}' % (b"0" * 400), "too large for a float"),
        (b'{"count": %s}' % (b"7" * 4301), "allowed are 4300"),
        (b'{"task": "\\ud800"}', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b'{"task": "\xff"}', "not UTF-8 at byte 10"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b'{"items": %s%s}' % (b"[" * 101, b"]" * 101), "deeper than 100"),
        (b'{"items": %s}' % (b"[" * 500_000), "deeper than 100"),
        (b'{"a":' * 150_000, "deeper than 100"),
        (b'{"task": "echo"} {}', "Extra data"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_malformed_body_is_400_and_says_where(stage: Any, body: bytes, says: str) -> None:
    response = stage.http.post("/v1/jobs", data=body, content_type="application/json")
    assert says in _problem(response, 400)["detail"]


@pytest.mark.parametrize("body", ["[]", "null", "5", '"x"', "true"])
def test_a_body_that_is_no_object_is_422(stage: Any, body: str) -> None:
    response = stage.http.post("/v1/jobs", data=body, content_type="application/json")
    assert "allowed is an object" in _problem(response, 422)["errors"][0]["message"]


def test_nesting_and_surrogate_pairs_within_bounds_are_taken(stage: Any) -> None:
    deep = "[" * 98 + "]" * 98
    body = '{"task":"echo","items":[' + deep + ',"\\ud83d\\ude00",' + "9" * 4300 + "]}"
    response = stage.http.post("/v1/jobs", data=body, content_type="application/json")
    assert response.status_code == 202, response.text
    stage.run(response.get_json()["id"])
    job = stage.get(f"/v1/jobs/{response.get_json()['id']}")
    assert job["sum"] == int("9" * 4300)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "application/json", "Content-Encoding": "br"},
    ],
    ids=str,
)
def test_a_body_that_is_not_plain_json_is_415(stage: Any, headers: dict[str, str]) -> None:
    response = stage.http.post("/v1/jobs", data=json.dumps(ORDER), headers=headers)
    assert "allowed" in _problem(response, 415)["detail"]


def test_a_body_over_the_limit_is_413(stage: Any) -> None:
    body = b" " * ((64 << 20) + 1)
    response = stage.http.post("/v1/jobs", data=body, content_type="application/json")
    assert "BATCHPOOL_MAX_BODY_BYTES" in _problem(response, 413)["detail"]


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/workers", "/v1/jobs/0123456789abcdef01234567"])
def test_a_media_type_that_is_not_offered_is_406(stage: Any, path: str) -> None:
    response = stage.http.get(path, headers={"Accept": "application/xml"})
    assert "application/json" in _problem(response, 406)["detail"]


def test_an_unknown_path_is_404(stage: Any) -> None:
    assert _problem(stage.http.get("/v2/jobs"), 404)["instance"] == "/v2/jobs"


def test_a_wrong_verb_is_405_with_what_is_allowed(stage: Any) -> None:
    response = stage.http.put("/v1/jobs", json=ORDER)
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    _problem(response, 405)


@pytest.mark.parametrize("job_id", ["0123456789abcdef01234567", "x", "a:0", "..", "%00", "%ff"])
@pytest.mark.parametrize("what", ["", "/records", "/events", "/trace"])
def test_a_job_that_is_not_there_is_404(stage: Any, job_id: str, what: str) -> None:
    _problem(stage.http.get(f"/v1/jobs/{job_id}{what}"), 404)


@pytest.mark.parametrize(
    "query",
    [
        "/v1/jobs?limit=0",
        "/v1/jobs?limit=many",
        "/v1/jobs?state=done",
        "/v1/jobs?cursor=../x",
        "/v1/jobs?colour=red",
        "/v1/workers?x=1",
        "/v1/jobs/0123456789abcdef01234567?wait=soon",
        "/v1/jobs/0123456789abcdef01234567?wait=-1",
        "/v1/jobs/0123456789abcdef01234567?wait=nan",
        "/v1/jobs/0123456789abcdef01234567/records?state=lost",
        "/v1/jobs/0123456789abcdef01234567/records?cursor=-1",
    ],
)
def test_a_wrong_parameter_is_422(stage: Any, query: str) -> None:
    assert _problem(stage.http.get(query), 422)["errors"]


def test_without_any_worker_ever_a_job_is_503(bare: Any) -> None:
    response = bare.http.post("/v1/jobs", json=ORDER)
    assert "no worker was ever seen" in _problem(response, 503)["detail"]
    assert int(response.headers["Retry-After"]) > 0


MEGABYTE = 1 << 20
BULKY = {
    "unknown fields": b"{%s}" % b",".join(b'"f%d":1' % n for n in range(80_000)),
    "unknown params": b'{"task":"sleep","count":1,"params":{%s}}'
    % b",".join(b'"f%d":1' % n for n in range(80_000)),
    "wrong labels": b'{"task":"sleep","count":1,"labels":{%s}}'
    % b",".join(b'"f%d":1' % n for n in range(80_000)),
    "wrong items": b'{"task":"nope","items":[%s]}' % b",".join([b"[]"] * 340_000),
    "a long name": b'{"task":"%s","count":1}' % (b"x" * 1_000_000),
    "a long number": b'{"task":"sleep","count":%s}' % (b"9" * 1_000_000),
    "a list for a number": b'{"task":"sleep","count":[%s]}' % b",".join([b"1"] * 500_000),
    "open brackets": b"[" * MEGABYTE,
    "an open string": b'"' + b"\\u0041" * 170_000,
    "spaces": b" " * MEGABYTE,
}


@pytest.fixture
def tuned_collector() -> Iterator[None]:
    """The garbage collector as the server sets it."""
    before = gc.get_threshold()
    tune_collector()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("tuned_collector")
@pytest.mark.parametrize("kind", BULKY)
def test_a_refused_megabyte_is_answered_within_100_ms(stage: Any, kind: str) -> None:
    http = stage.http
    http.post("/v1/jobs", json={})
    took = []
    for _ in range(5):
        # CPU time of the answer: what it takes where nobody else wants the processor.
        began = time.thread_time()
        response = http.post("/v1/jobs", data=BULKY[kind], content_type="application/json")
        took.append(time.thread_time() - began)
        problem = _problem(response, response.status_code)
        assert 400 <= response.status_code < 500
        assert len(problem.get("errors", ())) <= 20
        assert len(response.data) < 20_000
    assert min(took) < 0.1, took


def test_a_task_that_sub_interpreters_cannot_import_is_refused_there(bare: Any) -> None:
    document = bare.class_document(backends=["interpreter-pool", "thread-pool"])
    document["tasks"]["cpu"]["interpreters"] = False
    bare.announce(document, bare.worker_document())
    order = {"task": "cpu", "count": 1, "backend": "interpreter-pool"}
    problem = bare.post(422, **order)
    assert "pydantic" in problem["errors"][0]["message"]
    bare.post(**order | {"backend": "thread-pool"})
    bare.post(**order | {"task": "echo"})


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
GOOD_VALUES = {
    "task": st.sampled_from(["sleep", "echo", "cpu", "stream", "nope"]),
    "params": st.just({}) | st.just({"seconds": 0.1}),
    "count": st.integers(1, 20) | st.none(),
    "items": st.none() | st.lists(JSON_VALUES, max_size=4),
    "backend": st.sampled_from(["sequential", "process-pool", "asyncio", "thread-pool", "?"]),
    "concurrency": st.none() | st.integers(-1, 300),
    "batches": st.integers(0, 5) | st.sampled_from([1.0, 2.5]),
    "dispatch": st.sampled_from([None, "map", "submit"]),
    "chunksize": st.none() | st.integers(0, 5),
    "start_method": st.sampled_from([None, "fork", "spawn", "x"]),
    "pool": st.sampled_from([None, "warm", "fresh"]),
    "shared_sum": st.sampled_from(["none", "racy"]),
    "task_timeout_s": st.none() | st.floats(0, 5),
    "timeout_s": st.floats() | st.integers(),
    "retries": st.integers(-1, 30),
    "on_error": st.sampled_from(["continue", "stop"]),
    "labels": st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3),
}
BODIES = st.fixed_dictionaries(
    {}, optional={name: values | JSON_VALUES for name, values in GOOD_VALUES.items()}
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES | JSON_VALUES)
def test_any_json_is_accepted_or_refused_and_never_fails(stage: Any, body: Any) -> None:
    data = json.dumps(body)
    response = stage.http.post("/v1/jobs", data=data, content_type="application/json")
    if response.status_code == 202:
        job = response.get_json()
        assert stage.get(f"/v1/jobs/{job['id']}") | {"timing": 0} == job | {"timing": 0}
    else:
        _problem(response, response.status_code)
        assert response.status_code in (400, 422)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode()))
def test_any_bytes_are_refused_and_never_fail(stage: Any, data: bytes) -> None:
    response = stage.http.post("/v1/jobs", data=data, content_type="application/json")
    _problem(response, response.status_code)
    assert response.status_code in (400, 422)

"""What the API refuses, whatever is sent, without ever failing itself.

The texts are in test_api_error_texts.py.
"""

import gc
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchpool.api.server import tune_collector
from tests.support.bulky_bodies import numbered_fields, repeated
from tests.support.waiting import check_time

ORDER = {"task": "sleep", "count": 2}


def _problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.mimetype == "application/problem+json"
    found: dict[str, Any] = response.get_json()
    assert {"type", "title", "status", "detail", "instance"} <= found.keys()
    assert found["status"] == status
    assert "Traceback" not in response.text
    return found


def test_nesting_and_surrogate_pairs_within_bounds_are_taken(stage: Any) -> None:
    deep = "[" * 98 + "]" * 98
    body = '{"task":"echo","items":[' + deep + ',"\\ud83d\\ude00",' + "9" * 4300 + "]}"
    response = stage.http.post("/v1/jobs", data=body, content_type="application/json")
    assert response.status_code == 202, response.text
    stage.run(response.get_json()["id"])
    job = stage.get(f"/v1/jobs/{response.get_json()['id']}")
    assert job["sum"] == int("9" * 4300)


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


ALLOWED = {"DELETE", "GET", "HEAD", "OPTIONS", "POST"}


def test_a_wrong_verb_is_405_with_what_is_allowed(stage: Any) -> None:
    response = stage.http.put("/v1/jobs", json=ORDER)
    assert set(response.headers["Allow"].split(", ")) == ALLOWED
    _problem(response, 405)


@pytest.mark.parametrize("job_id", ["0123456789abcdef01234567", "x", "a:0", "..", "%00", "%ff"])
@pytest.mark.parametrize("what", ["", "/records", "/events", "/trace"])
def test_a_job_that_is_not_there_is_404(stage: Any, job_id: str, what: str) -> None:
    _problem(stage.http.get(f"/v1/jobs/{job_id}{what}"), 404)


MEGABYTE = 1 << 20
BULKY: dict[str, Callable[[], bytes]] = {
    "unknown fields": lambda: b"{%s}" % numbered_fields(),
    "unknown params": lambda: b'{"task":"sleep","count":1,"params":{%s}}' % numbered_fields(),
    "wrong labels": lambda: b'{"task":"sleep","count":1,"labels":{%s}}' % numbered_fields(),
    "wrong items": lambda: b'{"task":"nope","items":[%s]}' % repeated(b"[]", 340_000),
    "a long name": lambda: b'{"task":"%s","count":1}' % (b"x" * 1_000_000),
    "a long number": lambda: b'{"task":"sleep","count":%s}' % (b"9" * 1_000_000),
    "a list for a number": lambda: b'{"task":"sleep","count":[%s]}' % repeated(b"1", 500_000),
    "empty objects": lambda: b'{"task":"nope","items":[%s]}' % repeated(b"{}", 340_000),
    "one name twice": lambda: b"{%s}" % numbered_fields(names=79_999),
    "open brackets": lambda: b"[" * MEGABYTE,
    "an open string": lambda: b'"' + b"\\u0041" * 170_000,
    "spaces": lambda: b" " * MEGABYTE,
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
    http, body = stage.http, BULKY[kind]()
    http.post("/v1/jobs", json={})
    took = []
    for _ in range(5):
        # CPU time of the answer: what it takes where nobody else wants the processor.
        began = time.thread_time()
        response = http.post("/v1/jobs", data=body, content_type="application/json")
        took.append(time.thread_time() - began)
        problem = _problem(response, response.status_code)
        assert 400 <= response.status_code < 500
        assert len(problem.get("errors", ())) <= 20
        assert len(response.data) < 20_000
    check_time(f"CPU of refusing {kind}", min(took), 0.1)


def test_a_task_that_sub_interpreters_cannot_import_is_refused_there(bare: Any) -> None:
    document = bare.capabilities(backends=["interpreter-pool", "thread-pool"])
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

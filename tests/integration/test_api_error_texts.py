"""The exact texts of API errors: clients and people read them, so a change is made on purpose.

Most stand in tests/data/api_error_texts.txt; here are those that need more than a request.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from gunicorn.http import errors
from redis.exceptions import ConnectionError, OutOfMemoryError, ReadOnlyError

from batchpool.api.app import create_app
from batchpool.api.context import EXTENSION
from batchpool.api.serving.refusals import refusal_of
from batchpool.api.settings import ApiSettings

TABLE = Path(__file__).parents[1] / "data" / "api_error_texts.txt"
JOB: dict[str, Any] = {"task": "sleep", "count": 2}
COMPARISON: dict[str, Any] = {
    "task": "sleep",
    "params": {"seconds": 0.1},
    "count": 8,
    "arms": [{"backend": "sequential"}, {"backend": "thread-pool", "concurrency": 4}],
}
ORDERS = {"/v1/jobs": JOB, "/v1/comparisons": COMPARISON}
"""What is changed; for any other path it is the whole body."""
KEY = {"Idempotency-Key": "k"}


def rows() -> list[tuple[str, str]]:
    """Request and refusal of each row of the table."""
    lines = [line for line in TABLE.read_text().splitlines() if line and line[0] != "#"]
    return [(request, says) for line in lines for request, _, says in [line.partition(" => ")]]


@pytest.fixture
def scene(stage: Any) -> dict[str, str]:
    """Ids of jobs and comparisons by their state."""
    ids = {"queued": stage.http.post("/v1/jobs", json=JOB, headers=KEY).get_json()["id"]}
    ids |= {name: stage.post(**JOB)["id"] for name in ("succeeded", "running", "cancelled")}
    stage.run(ids["succeeded"])
    stage.claim(ids["running"])
    stage.http.post(f"/v1/jobs/{ids['cancelled']}/cancel")
    for state in ("queued", "cancelled"):
        response = stage.http.post("/v1/comparisons", json=COMPARISON)
        ids[f"{state}_comparison"] = response.get_json()["id"]
    stage.http.post(f"/v1/comparisons/{ids['cancelled_comparison']}/cancel")
    return ids


def detail(response: Any, status: int) -> str:
    """What a refusal says, after a look at its form."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/problem+json"
    problem = response.get_json()
    if "errors" in problem:
        shown = [f"{error['field'] or 'body'}: {error['message']}" for error in problem["errors"]]
        assert problem["detail"].startswith("; ".join(shown[:3]))
    found: str = problem["detail"]
    return found


@pytest.mark.parametrize(("sent", "says"), rows())
def test_what_is_refused_says_why(stage: Any, scene: dict[str, str], sent: str, says: str) -> None:
    method, path, *change = sent.split(" ", 2)
    body = {"json": ORDERS.get(path, {}) | json.loads(change[0])} if change else {}
    response = stage.http.open(path.format_map(scene), method=method, **body)
    assert f"{response.status_code} {detail(response, response.status_code)}" == says


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"count": 10**400}, "count: must be at most 1000000 items, got a very large number"),
        (
            {"batches": 10**30},
            "batches: must be at most 2, the number of items, got a very large number",
        ),
        ({"timeout_s": 10**400}, "timeout_s: must be a number, got a very large number"),
        ({"task": "x" * 201}, f"task: must have at most 200 characters, got '{'x' * 56}..."),
        (
            {"labels": {str(n): "" for n in range(33)}},
            "labels: must have at most 32 labels, got 33",
        ),
        ({"labels": {"a": "x" * 257}}, "labels: label 'a' must be text of at most 256 characters"),
    ],
    ids=lambda value: None if isinstance(value, dict) else value[:30],
)
def test_long_values_are_shown_short(stage: Any, change: dict[str, Any], says: str) -> None:
    assert detail(stage.http.post("/v1/jobs", json=JOB | change), 422) == says


def test_several_fields_are_named_at_once(stage: Any) -> None:
    response = stage.http.post("/v1/jobs", json={"count": -1, "retries": 99, "zip": 1, "zap": 2})
    known = "unknown field; known: task, params, count"
    found = {error["field"]: error["message"] for error in response.get_json()["errors"]}
    assert found.pop("zip").startswith(known) and found.pop("zap").startswith(known)
    assert found == {
        "task": "is required",
        "count": "must be at least 1, got -1",
        "retries": "must be at most 20, got 99",
    }
    assert detail(response, 422).endswith("; task: is required; and 2 more")


@pytest.mark.parametrize(
    ("body", "kind"),
    [("[]", "an array"), ("null", "null"), ("5", "a number"), ('"x"', "a string")],
)
@pytest.mark.parametrize("path", ORDERS)
def test_bodies_that_are_no_object(stage: Any, path: str, body: str, kind: str) -> None:
    response = stage.http.post(path, data=body, content_type="application/json")
    assert detail(response, 422) == f"body: must be an object, got {kind}"


BODIES: list[tuple[bytes, str]] = [
    (b"", "not JSON: Expecting value at line 1, column 1"),
    (b"{", "not JSON: Expecting property name enclosed in double quotes at line 1, column 2"),
    (
        b"{'task': 1}",
        "not JSON: Expecting property name enclosed in double quotes at line 1, column 2",
    ),
    (b'{"count": NaN}', "NaN is not JSON; numbers must be finite"),
    (b'{"count": -Infinity}', "-Infinity is not JSON; numbers must be finite"),
    (b'{"count": 1e999}', "a number is too large for a float; numbers must be finite"),
    (
        b'{"count": -1%s.0}' % (b"0" * 400),
        "a number is too large for a float; numbers must be finite",
    ),
    (b'{"count": %s}' % (b"7" * 4301), "integers must have at most 4300 digits, got 4301"),
    (b'{"task": "\\ud800"}', "a string has half of a surrogate pair (\\ud800 to \\udfff)"),
    (b'{"\\udfff": 1}', "a string has half of a surrogate pair (\\ud800 to \\udfff)"),
    (b'{"a": 1, "b": {"c": 1, "c": 2}}', "the name 'c' is given twice in one object"),
    (b'{"task": "\xff"}', "not UTF-8 at byte 10"),
    (b"\xff\xfe{\x00}\x00", "not UTF-8 at byte 0"),
    (b'{"items": %s}' % (b"[" * 500_000), "nested deeper than 100 levels"),
    (b'{"a":' * 150_000, "nested deeper than 100 levels"),
    (
        b"\xef\xbb\xbf{}",
        "not JSON: Unexpected UTF-8 BOM (decode using utf-8-sig) at line 1, column 1",
    ),
    (b'{"items": %s%s}' % (b"[" * 101, b"]" * 101), "nested deeper than 100 levels"),
    (b'{"task": "echo"} {}', "not JSON: Extra data at line 1, column 18"),
    (b'{"task', "not JSON: Unterminated string starting at line 1, column 2"),
]


@pytest.mark.parametrize(("body", "says"), BODIES, ids=lambda value: str(value)[:24])
def test_bodies_that_are_not_json(stage: Any, body: bytes, says: str) -> None:
    response = stage.http.post("/v1/jobs", data=body, content_type="application/json")
    assert detail(response, 400) == says


JSON = {"Content-Type": "application/json"}
HEADERS: list[tuple[dict[str, str], int, str]] = [
    ({}, 415, "Content-Type must be application/json or application/x-ndjson or text/csv, got ''"),
    (
        {"Content-Type": "text/a"},
        415,
        "Content-Type must be application/json or application/x-ndjson or text/csv, got 'text/a'",
    ),
    (
        {"Content-Type": "application/json; charset=utf-16"},
        415,
        "charset must be utf-8, got 'utf-16'",
    ),
    (
        {"Content-Type": "text/csv; header=absent", "Batchpool-Job": '{"task": "echo"}'},
        415,
        "header must be present, got 'absent': the first row names the columns",
    ),
    (JSON | {"Content-Encoding": "gzip"}, 415, "Content-Encoding must be absent, got 'gzip'"),
    (JSON | {"Accept": "application/xml"}, 406, "offered media types: application/json"),
    (
        JSON | {"Host": "rebound.example"},
        421,
        (
            "unknown host 'rebound.example'; allowed: an IP address, localhost, and the names in "
            "BATCHPOOL_ALLOWED_HOSTS"
        ),
    ),
    (
        JSON | {"Origin": "http://other.example"},
        403,
        "Origin 'http://other.example': pages of another origin cannot change anything here",
    ),
    (
        JSON | {"Sec-Fetch-Site": "same-site"},
        403,
        "Sec-Fetch-Site same-site: pages of another origin cannot change anything here",
    ),
]
"""Of a POST to /v1/jobs."""


@pytest.mark.parametrize(("headers", "status", "says"), HEADERS, ids=str)
def test_headers(stage: Any, headers: dict[str, str], status: int, says: str) -> None:
    response = stage.http.post("/v1/jobs", data="{}", headers=headers)
    assert detail(response, status) == says


@pytest.mark.parametrize("key", ["", "x" * 256, "k\u00e9y"])
def test_idempotency_keys(stage: Any, key: str) -> None:
    response = stage.http.post("/v1/jobs", json=JOB, headers={"Idempotency-Key": key})
    says = "Idempotency-Key: must be 1 to 255 printable ASCII characters"
    assert detail(response, 422) == says


def test_a_key_that_was_used_with_another_body(stage: Any) -> None:
    for path, order in ORDERS.items():
        assert stage.http.post(path, json=order, headers=KEY).status_code == 202
        response = stage.http.post(path, json=order | {"count": 7}, headers=KEY)
        says = "this Idempotency-Key was used with another body; send that body, or use a new key"
        assert detail(response, 409) == says


SETTINGS: list[tuple[dict[str, str], str, dict[str, Any], int, str]] = [
    (
        {"BATCHPOOL_MAX_QUEUED_ITEMS": "5"},
        "/v1/jobs",
        JOB,
        429,
        (
            "with this job, 6 items would wait for a worker; at most 5 can "
            "(BATCHPOOL_MAX_QUEUED_ITEMS)"
        ),
    ),
    (
        {"BATCHPOOL_MAX_COMPARISONS": "1"},
        "/v1/comparisons",
        COMPARISON,
        429,
        "with this one, 2 comparisons would wait or run; at most 1 can (BATCHPOOL_MAX_COMPARISONS)",
    ),
    (
        {"BATCHPOOL_MAX_BODY_BYTES": "1024"},
        "/v1/jobs",
        JOB | {"labels": {"x": "y" * 1024}},
        413,
        "the body must be at most 1024 bytes (BATCHPOOL_MAX_BODY_BYTES)",
    ),
]
"""Settings of the API, then a POST to it."""


@pytest.mark.parametrize(("environ", "path", "body", "status", "says"), SETTINGS, ids=str)
def test_more_than_the_settings_allow(
    stage: Any, environ: dict[str, str], path: str, body: dict[str, Any], status: int, says: str
) -> None:
    stage.post(**JOB | {"count": 4})
    stage.http.post("/v1/comparisons", json=COMPARISON)
    stage.app = create_app(ApiSettings.from_env(environ), stage.redis)
    assert detail(stage.http.post(path, json=body), status) == says


@pytest.mark.parametrize(("path", "body"), ORDERS.items())
def test_without_workers(bare: Any, path: str, body: dict[str, Any]) -> None:
    says = "no worker has been seen yet; start one, then send the request again"
    assert detail(bare.http.post(path, json=body), 503) == says


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (
            ConnectionError("gone"),
            503,
            "Redis does not answer; send the request again, an order with its Idempotency-Key",
        ),
        (ReadOnlyError("a replica"), 503, "Redis refused the command: a replica"),
        (OutOfMemoryError("OOM"), 507, "Redis is full; delete jobs, or raise its maxmemory"),
        (
            ZeroDivisionError(),
            500,
            "unhandled exception in the service; its log has the traceback",
        ),
    ],
    ids=str,
)
def test_failures_behind_the_api(stage: Any, error: Exception, status: int, says: str) -> None:
    def fail() -> None:
        raise error

    stage.app = create_app(ApiSettings.from_env({}), stage.redis)
    stage.app.add_url_rule("/fails", view_func=fail)
    assert detail(stage.http.get("/fails"), status) == says


def test_event_streams_in_use(stage: Any) -> None:
    path = f"/v1/jobs/{stage.post(**JOB)['id']}/events"
    streams = [stage.http.get(path, buffered=False) for _ in range(3)]
    says = "all 3 streams are in use; poll with ?wait= instead"
    assert detail(stage.http.get(path), 503) == says
    for stream in streams:
        stream.close()


def test_downloads_in_use(stage: Any) -> None:
    path = f"/v1/jobs/{stage.post(**JOB)['id']}/trace"
    most = stage.app.extensions[EXTENSION].settings.max_downloads
    downloads = [stage.http.get(path, buffered=False) for _ in range(most)]
    assert detail(stage.http.get(path), 503) == f"all {most} downloads are in use; try again later"
    for download in downloads:
        download.close()


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (errors.LimitRequestLine(1, 2), "414 the request line must be at most 4094 bytes"),
        (
            errors.LimitRequestHeaders(""),
            "431 headers must be at most 64 KiB, 8 KiB each, and at most 100",
        ),
        (errors.ExpectationFailed("x"), "417 Expect must be 100-continue"),
        (errors.UnsupportedTransferCoding("x"), "501 Transfer-Encoding must be chunked"),
        (errors.NoMoreData(), "400 malformed HTTP: No more data after: None"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_requests_that_the_server_refuses(error: Exception, says: str) -> None:
    problem = refusal_of(error)
    assert f"{problem.status} {problem.detail}" == says

"""Web pages of other origins, or of names that were made to point here, reach nothing."""

from typing import Any

import pytest

from batchpool.api.app import create_app
from batchpool.api.settings import ApiSettings

ORDER = {"task": "echo", "count": 1}
PATHS = ["/", "/healthz", "/v1/jobs", "/openapi.json", "/nope", "/metrics"]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8000",
        "[::1]:8000",
        "192.168.1.7",
        "localhost",
        "LOCALHOST:1",
        "localhost.",
        "api",
        "Api:8000",
        "jobs.example.org",
    ],
)
def test_its_own_names_are_served(stage: Any, host: str) -> None:
    environ = {"BATCHPOOL_ALLOWED_HOSTS": "api, jobs.example.org."}
    app = create_app(ApiSettings.from_env(environ), stage.redis)
    assert app.test_client().get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "api",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "evil.example:localhost",
        "localhost, evil.example",
        "[::1",
        "2130706433",
        "0x7f000001",
        "127.1",
        "",
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_another_name_is_421_on_every_route(stage: Any, path: str, host: str) -> None:
    response = stage.http.get(path, headers={"Host": host})
    assert response.status_code == 421
    assert response.mimetype == "application/problem+json"
    assert "BATCHPOOL_ALLOWED_HOSTS" in response.get_json()["detail"]


FOREIGN: list[dict[str, str]] = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://localhost:3000"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "file://"},
    {"Origin": "http://user@localhost"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/jobs"),
        ("POST", "/v1/jobs/0123456789abcdef01234567/cancel"),
        ("DELETE", "/v1/jobs/0123456789abcdef01234567"),
        ("POST", "/v1/comparisons"),
        ("PUT", "/nope"),
    ],
)
def test_a_foreign_page_can_change_nothing(
    stage: Any, method: str, path: str, headers: dict[str, str]
) -> None:
    response = stage.http.open(path, method=method, json=ORDER, headers=headers)
    assert (response.status_code, response.mimetype) == (403, "application/problem+json")
    assert stage.get("/v1/jobs")["jobs"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://localhost"},
        {"Origin": "http://localhost:80"},
        {"Origin": "https://localhost"},
        {"Host": "127.0.0.1:8000", "Origin": "http://127.0.0.1:8000"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=str,
)
def test_its_own_pages_and_programs_may_order(stage: Any, headers: dict[str, str]) -> None:
    assert stage.http.post("/v1/jobs", json=ORDER, headers=headers).status_code == 202


def test_a_link_from_elsewhere_may_be_followed(stage: Any) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert stage.http.get("/", headers=headers).status_code == 200


@pytest.mark.parametrize("path", [*PATHS, "/v1/jobs/x", "/docs"])
def test_no_answer_is_guessed_at_framed_or_told_to_others(stage: Any, path: str) -> None:
    headers = stage.http.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] in ("no-referrer", "same-origin")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "Access-Control-Allow-Origin" not in headers

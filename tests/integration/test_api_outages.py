"""Redis away, frozen or asking for a password: the API says so quickly, and recovers."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batchpool.api.app import create_app
from batchpool.api.settings import ApiSettings
from batchpool.ledger.connection import connect
from batchpool.ledger.presence import Presence
from batchpool.ledger.values.announcements import WorkerCapabilities
from tests.integration.conftest import capabilities, wait_until_answering
from tests.support.waiting import check_time

SETTINGS = ApiSettings.from_env({"BATCHPOOL_API_REDIS_TIMEOUT_S": "1.0"})
ROUTES = ("/v1/jobs", "/v1/workers", "/v1/tasks", "/readyz", "/v1/jobs/0123456789abcdef01234567")


class Server:
    """A Valkey that a test may end, freeze and start again."""

    def __init__(self, folder: Path, start: Any) -> None:
        self.url = f"unix://{folder / 'redis.sock'}"
        self._folder = folder
        self._start = start
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        self.process = self._start(self._folder, *more)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def end(self) -> None:
        if self.process is not None:
            self.signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(10)


@pytest.fixture
def server(start_server: Any) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="bp-") as name:
        server = Server(Path(name), start_server)
        yield server
        server.end()


@pytest.fixture
def http(server: Server) -> Iterator[Any]:
    redis = connect(server.url, socket_timeout_s=SETTINGS.redis_timeout_s)
    yield create_app(SETTINGS, redis).test_client()
    redis.close()


def _is_away(http: Any) -> None:
    for route in ROUTES:
        began = time.monotonic()
        response = http.get(route)
        check_time(route, time.monotonic() - began, 2)
        assert response.status_code == 503, route
        assert int(response.headers["Retry-After"]) > 0
    began = time.monotonic()
    response = http.post("/v1/jobs", json={"task": "echo", "count": 1})
    check_time("the refusal", time.monotonic() - began, 2)
    assert response.status_code == 503
    assert http.get("/healthz").status_code == 200


def _is_back(http: Any, within_s: float = 5) -> None:
    deadline = time.monotonic() + within_s
    while http.get("/v1/jobs").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_without_redis_everything_is_503_at_once_and_recovers(server: Server, http: Any) -> None:
    _is_away(http)
    server.start()
    _is_back(http)
    server.end()
    _is_away(http)
    server.start()
    _is_back(http)


def test_an_upload_is_503_when_redis_ends_meanwhile_and_leaves_no_job(
    server: Server, http: Any
) -> None:
    server.start()
    with connect(server.url) as redis:
        wait_until_answering(redis)
        Presence(redis).announce_class(WorkerCapabilities.from_json(capabilities()))
    lines = iter([b"1\n" * 10_000, b"2\n" * 10_000])

    class Body:
        def read(self, size: int) -> bytes:
            piece = next(lines)
            if piece.startswith(b"2"):
                server.end()
            return piece

    headers = {"Content-Type": "application/x-ndjson", "Batchpool-Job": '{"task":"echo"}'}
    body = {"wsgi.input": Body(), "CONTENT_LENGTH": None}
    answer = http.post("/v1/jobs", environ_overrides=body, headers=headers)
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    server.start()
    with connect(server.url) as redis:
        wait_until_answering(redis)
        (key,) = redis.scan_iter("bp:upload:*")
        assert 0 < redis.ttl(key) <= 600
        assert not list(redis.scan_iter("bp:job:*"))


def test_a_frozen_redis_is_503_within_two_seconds_and_recovers(server: Server, http: Any) -> None:
    server.start()
    _is_back(http)
    server.signal(signal.SIGSTOP)
    _is_away(http)
    server.signal(signal.SIGCONT)
    _is_back(http)


def test_a_redis_that_wants_a_password_is_named(server: Server, http: Any) -> None:
    server.start("--requirepass", "secret")
    deadline = time.monotonic() + 5
    while "Redis wants a password" not in (found := http.get("/readyz")).text:
        assert time.monotonic() < deadline, found.text
        time.sleep(0.02)
    assert found.status_code == 503
    assert http.get("/v1/jobs").status_code == 503


def test_a_read_only_replica_is_named(server: Server, http: Any) -> None:
    server.start("--replicaof", "127.0.0.1", "1")
    deadline = time.monotonic() + 5
    while "read-only" not in http.get("/readyz").text:
        assert time.monotonic() < deadline, http.get("/readyz").text
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("options", "reason", "durability"),
    [
        ((), None, "strong"),
        (("--appendfsync", "everysec"), None, "weak"),
        (("--maxmemory-policy", "allkeys-lru"), "maxmemory-policy allkeys-lru", "strong"),
        (("--appendonly", "no"), "set appendonly yes", "none"),
    ],
)
def test_an_unsafe_redis_is_red_with_the_reason_alone(
    server: Server, http: Any, options: tuple[str, ...], reason: str | None, durability: str
) -> None:
    server.start(*options)
    _is_back(http)
    with connect(server.url) as redis:
        Presence(redis).announce_class(
            WorkerCapabilities(id="c", python="3.11", backends=(), start_methods=(), tasks={})
        )
    response = http.get("/readyz")
    found = response.get_json()
    assert found["durability"] == durability
    assert response.status_code == (503 if reason else 200)
    assert len(found["reasons"]) == bool(reason)
    assert all(reason in told for told in found["reasons"])

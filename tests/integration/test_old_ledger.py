"""Data of the stack before `batchpool.*` under the code of today: served as before, and ended."""

import gzip
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from batchpool.api.app import create_app
from batchpool.api.settings import ApiSettings
from batchpool.ledger import keys
from batchpool.ledger.connection import connect
from batchpool.ledger.jobs import Jobs
from tests.integration.conftest import Stage, start_valkey, wait_until_answering
from tests.support.differences import check_differences, differences
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until

DATA = Path(__file__).parents[1] / "data" / "ledger_9831fbc"
OPEN = ("queued", "running")
UP_TO_NOW = ("queue_s", "wall_s", "parallelism", "cpu_parallelism")
"""Timings that grow while a job is open."""
ELSEWHERE = """
from batchpool.tasks import task


@task("elsewhere")
def elsewhere(item):
    return item * 2
"""


def load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress((DATA / f"{name}.gz").read_bytes()))
    return found


@pytest.fixture(scope="module")
def old() -> dict[str, Any]:
    """What the old code answered."""
    return load("served.json")


@contextmanager
def old_redis() -> Iterator[tuple[str, Redis]]:
    """A Valkey on the old data: its URL and a client of it."""
    # Not tmp_path: the path of a unix socket may have 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="bp-") as name:
        folder = Path(name)
        written = gzip.decompress((DATA / "appendonly.aof.gz").read_bytes())
        (folder / "appendonly.aof").write_bytes(written)
        server = start_valkey(folder)
        url = f"unix://{folder / 'redis.sock'}"
        try:
            with connect(url) as client:
                wait_until_answering(client)
                yield url, client
        finally:
            server.terminate()
            server.wait(10)


def serve(redis: Redis) -> Stage:
    return Stage(redis, create_app(ApiSettings.from_env({}), redis))


@pytest.fixture(scope="module")
def api() -> Iterator[Stage]:
    """The API over the old data, beside nobody who changes it."""
    with old_redis() as (_, redis):
        yield serve(redis)


def at_rest(part: Any) -> Any:
    """Documents without the timings that grow while a job or comparison is open."""
    if isinstance(part, list):
        return [at_rest(each) for each in part]
    if not isinstance(part, dict):
        return part
    if part.get("state") in OPEN and "timing" in part:
        timing = {name: v for name, v in part["timing"].items() if name not in UP_TO_NOW}
        return part | {"timing": timing}
    return {name: at_rest(each) for name, each in part.items()}


CHANGED = {
    "!*/sum: 0 -> None": "the sum of no numbers is null",
    "+*/waiting_for": "jobs say what they wait for",
    "+*/fail_unless": "comparisons have conditions",
    "+*/conditions": "comparisons have conditions",
    "+*/links/card": "a comparison is exported as a card",
    "+*/reduced": "the values of a job are reduced",
    "+*/sum_text": "the sum as text, beside it",
    "+*/batches/*/second_try": "second tries are shown",
    "+*/batches/*/leftovers": "what tasks left behind is shown",
    "+*/log": "what items print and log is kept",
    "+*/logs": "what items print and log is kept",
}
"""What later changes mean to answer otherwise: a pattern of what `differences` names, and why.

The places begin with jobs, job_list, comparisons, comparison_list, records or traces.
"""


def test_documents_are_served_as_before(api: Stage, old: dict[str, Any]) -> None:
    before = {name: old[name] for name in DOCUMENTS}
    assert all(len(each) > 3 for each in before.values())
    now = {name: serve_again(api, name, before[name]) for name in DOCUMENTS}
    check_differences(differences(at_rest(before), at_rest(now)), CHANGED)


DOCUMENTS = {
    "jobs": "/v1/jobs/{}",
    "records": "/v1/jobs/{}/records?limit=10000",
    "traces": "/v1/jobs/{}/trace",
    "comparisons": "/v1/comparisons/{}",
    "job_list": "/v1/jobs?limit=500",
    "comparison_list": "/v1/comparisons",
}
"""Where each kind of documents is served."""


def serve_again(api: Stage, kind: str, before: Any) -> Any:
    """The documents of a kind, in the form in which they were kept."""
    if isinstance(before, dict):
        found = {name: api.get(DOCUMENTS[kind].format(name)) for name in before}
        return {name: each.get("records", each) for name, each in found.items()}
    (listed,) = (each for each in api.get(DOCUMENTS[kind]).values() if isinstance(each, list))
    return listed


@pytest.mark.parametrize("kind", ["tasks", "backends"])
def test_inventories_are_served_as_before(api: Stage, old: dict[str, Any], kind: str) -> None:
    assert described(api.get(f"/v1/{kind}")) == described(old[kind])


def described(inventory: dict[str, Any]) -> list[dict[str, Any]]:
    """Tasks or backends without what the live workers, who are gone, said about them, and texts."""
    ((_, found),) = ((name, each) for name, each in inventory.items() if name != "errors")
    return [
        {name: each[name] for name in sorted(each) if name not in ("workers", "description")}
        | {"classes": sorted(each.get("classes", ()))}
        for each in found
    ]


def test_old_jobs_and_comparisons_have_pages_and_reports(api: Stage, old: dict[str, Any]) -> None:
    for kind in ("jobs", "comparisons"):
        for name in old[kind]:
            for path in (f"/{kind}/{name}", f"/v1/{kind}/{name}/report"):
                answer = api.http.get(path, headers={"Accept": "text/html"})
                assert answer.status_code == 200, f"{path}: {answer.text}"
                assert "<h1" in answer.text


def test_csv_ndjson_and_exports_are_served_as_before(api: Stage, old: dict[str, Any]) -> None:
    for name, before in old["texts"].items():
        media_type, path = name.split(" ")
        with api.http.get(path, headers={"Accept": media_type}) as response:
            # The one field that was added to records: none of the old ones has a log.
            assert response.text.replace(',"log":null', "") == before, name


def test_events_of_what_has_ended_are_its_snapshot(api: Stage, old: dict[str, Any]) -> None:
    for kind in ("jobs", "comparisons"):
        for name in (name for name, each in old[kind].items() if each["state"] not in OPEN):
            with api.http.get(f"/v1/{kind}/{name}/events") as response:
                *_, event, data, _, _ = response.text.split("\n")
            assert event == "event: end"
            shown = json.loads(data.removeprefix("data: "))
            now = api.get(f"/v1/{kind}/{name}")
            assert shown == {field: now[field] for field in shown} | {"links": shown["links"]}


def test_an_old_idempotency_key_still_names_its_job(api: Stage, old: dict[str, Any]) -> None:
    ((key, value),) = old["keys"].items()
    # Kept for a year at most, so it may have gone from the file by now.
    api.redis.set(key, value, ex=3600)
    body = {"task": "echo", "count": 3, "labels": {"is": "sent under a key"}}
    headers = {"Idempotency-Key": "the key"}
    response = api.http.post("/v1/jobs", json=body, headers=headers)
    assert (response.status_code, response.get_json()["id"]) == (202, value.split()[0])
    response = api.http.post("/v1/jobs", json=body | {"count": 4}, headers=headers)
    assert response.status_code == 409


def as_if_just_written(redis: Redis) -> None:
    """Move what the clock decides to where it is when an upgrade follows on the old stack at once.

    Leases are over, limits are not, and comparisons have only just begun.
    """
    now = Jobs(redis).now_ms()
    for lease in redis.zrange(keys.LEASES, 0, -1):
        redis.zadd(keys.LEASES, {lease: now})
    for job in redis.zrange(keys.DEADLINES, 0, -1):
        redis.zadd(keys.DEADLINES, {job: now + 3_600_000})
        for name in ("deadline_ms", "queue_deadline_ms"):
            if redis.hexists(job, name):
                redis.hset(job, name, now + 3_600_000)
    for comparison in redis.zrange(keys.COMPARING, 0, -1):
        if redis.hexists(comparison, "started_ms"):
            redis.hset(comparison, "started_ms", now)


@pytest.fixture
def upgraded(tmp_path: Path) -> Iterator[StackProcesses]:
    """The old data under a reconciler of today, with a tasks folder as the old workers had it."""
    shutil.copy(DATA / "tasks" / "kept.py", tmp_path)
    (tmp_path / "elsewhere.py").write_text(ELSEWHERE)
    environ = {
        "BATCHPOOL_TASKS_DIR": str(tmp_path),
        "BATCHPOOL_LEASE_S": "2",
        "BATCHPOOL_CLASS_GONE_S": "1",
    }
    with old_redis() as (url, redis):
        as_if_just_written(redis)
        with StackProcesses(url, redis, serve(redis), environ) as crew:
            crew.start("batchpool.reconciler")
            yield crew


def test_what_was_open_ends(upgraded: StackProcesses, old: dict[str, Any]) -> None:
    old_classes = {name.decode() for name in upgraded.redis.hkeys(keys.CLASSES)}
    # Before any worker: it is accepted for a class that nobody is of any more.
    posted = upgraded.stage.post(task="echo", count=2)["id"]
    upgraded.start_workers(2)
    (new_class,) = {each["class"] for each in upgraded.stage.get("/v1/workers")["workers"]}
    assert new_class not in old_classes
    assert upgraded.finish(posted)["sum"] == 1
    open_before = [
        job
        for job in old["jobs"].values()
        if job["state"] in OPEN and "comparison" not in job["spec"]
    ]
    assert len(open_before) == 7
    for before in open_before:
        ended = upgraded.finish(before["id"], 60)
        records = upgraded.records(before["id"])
        check_ended(ended, before, records)
        check_records(records, old["records"][before["id"]])


ENDS = {
    "running": ("succeeded", 30 * 29 / 2 + 30 * 0.25),
    "to be cancelled": ("cancelled", None),
    "parked": ("succeeded", 2 * (0 + 1 + 2 + 3)),
}


def check_ended(
    ended: dict[str, Any], before: dict[str, Any], records: list[dict[str, Any]]
) -> None:
    counts = Counter(record["state"] for record in records)
    assert len(records) == ended["progress"]["total"]
    assert counts == {state: n for state, n in ended["progress"].items() if n and state != "total"}
    numbers = [v for v in (r["value"] for r in records) if isinstance(v, int | float)]
    assert ended["sum"] == sum(map(Fraction, numbers))
    label = ended["spec"]["labels"]["is"]
    state, total = ENDS.get(label, ("succeeded", None))
    assert ended["state"] == ("failed" if ended["spec"]["task"] == "fail" else state)
    assert total is None or ended["sum"] == total
    for batch, was in zip(ended["batches"], before["batches"], strict=True):
        assert batch["epochs"][: len(was["epochs"])] == [
            epoch | {"end_reason": "lost", "ended_at": now["ended_at"]}
            for epoch, now in zip(was["epochs"], batch["epochs"], strict=False)
        ]
        if label == "running":
            assert batch["shared_sum"]["partial"]


def check_records(found: list[dict[str, Any]], before: list[dict[str, Any]]) -> None:
    """Each item has one record, and what was recorded by the old worker stands."""
    assert [record["index"] for record in found] == list(range(len(found)))
    kept = [record for record in before if record["state"] == "succeeded"]
    assert [found[record["index"]] for record in kept] == [each | {"log": None} for each in kept]


def test_comparisons_that_were_open_end(upgraded: StackProcesses, old: dict[str, Any]) -> None:
    """What has runs ends, since the rest would be of other code; what has none is run."""
    upgraded.start_workers(1)

    def ended(state: str) -> dict[str, Any]:
        (name,) = (
            n for n, comparison in old["comparisons"].items() if comparison["state"] == state
        )
        path = f"/v1/comparisons/{name}"
        wait_until(lambda: upgraded.stage.get(path)["state"] not in OPEN, 60, f"{state} one ends")
        return upgraded.stage.get(path)

    begun = ended("running")
    assert (begun["state"], begun["error"]["type"]) == ("failed", "workers_gone"), begun["error"]
    before = old["comparisons"][begun["id"]]
    assert begun["samples"][: len(before["samples"])] == before["samples"]
    # The run under way may have been taken over by a worker of today before the comparison ended.
    assert all(each["disturbed"] for each in begun["samples"][len(before["samples"]) :])
    assert upgraded.finish(before["progress"]["job"])["state"] in ("cancelled", "succeeded")
    waited = ended("queued")
    assert waited["state"] == "succeeded", waited["error"]
    assert waited["progress"]["done"] == waited["progress"]["runs"]

"""/metrics: what it counts is what has happened, and more jobs do not make it dearer."""

from typing import Any

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families

from batchpool.ledger import keys
from batchpool.ledger.ownership import Ownership
from batchpool.ledger.recovery import Recovery
from tests.integration.conftest import worker_document


def scrape(stage: Any) -> dict[tuple[str, str | None], float]:
    response = stage.http.get("/metrics")
    assert response.status_code == 200, response.text
    assert response.content_type.startswith("text/plain; version=")
    return {
        (sample.name.removeprefix("batchpool_"), sample.labels.get("state")): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_an_idle_service_has_all_its_metrics_at_nothing(stage: Any) -> None:
    found = scrape(stage)
    assert found["workers", "idle"] == 1
    ours = {
        name: value
        for name, value in found.items()
        if name[0].split("_")[0] in ("jobs", "items", "batches", "comparisons", "refused", "lost")
    }
    assert len(ours) == 15
    assert not any(ours.values())
    assert found["redis_used_bytes", None] > 0
    assert found["process_resident_memory_bytes", None] > 0


def test_jobs_items_and_batches_are_counted_as_they_go(stage: Any) -> None:
    stage.announce(stage.capabilities(), worker_document(name="w2", state="busy"))
    first = stage.post(task="echo", count=10, batches=2)["id"]
    stage.post(task="echo", count=5)
    claim = stage.claim(first)
    Recovery(stage.redis).park(first, 1, "nobody")
    found = scrape(stage)
    assert (found["jobs", "queued"], found["jobs", "running"]) == (1, 1)
    assert (found["items_queued", None], found["items_open", None]) == (10, 15)
    batches = [found["batches", state] for state in ("waiting", "parked", "running")]
    assert batches == [1, 1, 1]
    assert [found["workers", state] for state in ("idle", "busy", "draining")] == [1, 1, 0]
    stage.redis.zadd(keys.LEASES, {f"{keys.job_key(first)}|0": 1})
    Recovery(stage.redis).expire_leases()
    assert not Ownership(stage.redis).release(claim)
    stage.http.post(f"/v1/jobs/{first}/cancel")
    found = scrape(stage)
    assert found["lost_workers_total", None] == found["refused_writes_total", None] == 1
    assert found["jobs_ended_total", "cancelled"] == 1
    assert (found["jobs", "queued"], found["jobs", "running"]) == (1, 0)
    assert found["items_open", None] == 5
    assert found["jobs_kept", None] == 2


def test_a_scrape_asks_as_much_of_redis_whatever_the_number_of_jobs(stage: Any) -> None:
    def commands() -> int:
        before = stage.redis.info("stats")["total_commands_processed"]
        scrape(stage)
        return int(stage.redis.info("stats")["total_commands_processed"] - before)

    few = commands()
    for _ in range(50):
        stage.post(task="echo", count=1)
    assert commands() == few < 20


def test_openmetrics_is_spoken_to_those_who_ask_for_it(stage: Any) -> None:
    stage.post(task="echo", count=3)
    response = stage.http.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert response.content_type.startswith("application/openmetrics-text")
    families = {family.name: family for family in parse_openmetrics(response.text)}
    assert [sample.value for sample in families["batchpool_items_queued"].samples] == [3]


@pytest.mark.parametrize("accept", ["", "*/*", "text/html"])
def test_any_other_wish_gets_plain_text(stage: Any, accept: str) -> None:
    response = stage.http.get("/metrics", headers={"Accept": accept})
    assert response.content_type.startswith("text/plain")

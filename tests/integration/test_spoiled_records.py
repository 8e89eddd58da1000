"""Keys of an ended job that have a wrong type: what is left can be read, at any path (P17)."""

import csv
import json
from typing import Any

import pytest

from batchpool.api.routes import records as record_routes
from batchpool.ledger import keys
from batchpool.ledger.ownership import Ending
from batchpool.reconciler.reconciler import Reconciler
from tests.integration.test_broken_batches import outcome, writer_of
from tests.integration.test_broken_data import SETTINGS, is_listed_and_removable

NDJSON = {"Accept": "application/x-ndjson"}
CSV = {"Accept": "text/csv"}
ITEMS = range(6)
NEVER_RAN = {2, 5}


@pytest.fixture
def ended(stage: Any) -> str:
    """A job of two batches of three items, the last of which never ran."""
    job_id = str(stage.post(task="echo", count=len(ITEMS), batches=2)["id"])
    for batch in range(2):
        writer = writer_of(stage, stage.claim(job_id, batch))
        writer.buffer.add([outcome(3 * batch), outcome(3 * batch + 1)])
        writer.close(lambda counts: Ending("failed", {}, rest="cancelled"))
    return job_id


def spoil(stage: Any, job_id: str, batch: int, part: str) -> None:
    key = f"{keys.batch_key(job_id, batch)}:{part}"
    stage.redis.delete(key)
    # A bitmap is a string.
    stage.redis.rpush(key, "x") if part == "bits" else stage.redis.set(key, "x")


def lines_of(stage: Any, path: str) -> list[Any]:
    with stage.http.get(path, headers=NDJSON) as answer:
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]


def reads(stage: Any, job_id: str) -> dict[str, list[Any]]:
    """The items that each path shows, whose answer must be whole."""
    path = f"/v1/jobs/{job_id}"
    followed = lines_of(stage, path + "/records?follow=1")
    assert followed[-1] == {"end": "failed"}
    with stage.http.get(path + "/records", headers=CSV) as answer:
        assert answer.status_code == 200
        rows = list(csv.DictReader(answer.text.splitlines()))
    events = stage.get(path + "/trace")["traceEvents"]
    assert stage.http.get(path + "/timeline").status_code == 200
    values = stage.get(path + "/values?missing=null")
    assert values == lines_of(stage, path + "/values?missing=null")
    return {
        "list": [each["index"] for each in stage.get(path + "/records")["records"]],
        "lines": [each["index"] for each in lines_of(stage, path + "/records")],
        "rows": [int(row["index"]) for row in rows],
        "followed": [line["index"] for line in followed if "index" in line],
        "trace": [event["args"]["index"] for event in events if event["ph"] == "X"],
        "values": [index for index, value in enumerate(values) if value == index],
    }


def what_is_left(batch: int, part: str) -> dict[str, list[int]]:
    own = range(3 * batch, 3 * batch + 3)
    lost = {index for index in own if (index in NEVER_RAN) == (part == "bits")}
    ran = [index for index in ITEMS if index not in NEVER_RAN | lost]
    recorded = [index for index in ITEMS if index not in lost]
    of_records = dict.fromkeys(("list", "lines", "rows", "followed"), recorded)
    return {**of_records, "trace": ran, "values": ran}


@pytest.mark.parametrize("part", ["heads", "blocks", "bits"])
@pytest.mark.parametrize("batch", [0, 1])
def test_what_is_left_is_read_at_once_and_the_key_is_listed(
    stage: Any, ended: str, batch: int, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The second batch is read after the status was sent.
    monkeypatch.setattr(record_routes, "LINES", 1)
    spoil(stage, ended, batch, part)
    assert reads(stage, ended) == what_is_left(batch, part)
    [listed] = stage.get("/v1/broken")["broken"]
    assert listed["key"] == keys.job_key(ended) and "WRONGTYPE" in listed["reason"]
    Reconciler(stage.redis, SETTINGS).run_pass()
    [listed] = stage.get("/v1/broken")["broken"]
    assert listed["key"] == f"{keys.batch_key(ended, batch)}:{part}"
    # The bitmap is made anew from the blocks.
    found = reads(stage, ended)
    assert found["list"] == (list(ITEMS) if part == "bits" else what_is_left(batch, part)["list"])
    is_listed_and_removable(stage)

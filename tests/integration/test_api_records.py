"""Records as JSON, NDJSON and CSV, and the trace."""

import csv
import hashlib
import io
import json
import zlib
from typing import Any

import msgpack
import pytest

from batchpool.ledger import keys
from batchpool.ledger.blocks.record_fields import RECORD_FIELDS
from batchpool.schemas.record_responses import Failures

NDJSON = {"Accept": "application/x-ndjson"}
CSV = {"Accept": "text/csv"}


@pytest.fixture
def done(stage: Any) -> str:
    """The path of a job of 10 items in 2 batches; the item 3 has failed."""
    job_id = stage.post(task="echo", items=[*range(9), {"a": "b,\n"}], batches=2)["id"]
    stage.run(job_id, 0, fail=frozenset([3]))
    stage.run(job_id, 1)
    return f"/v1/jobs/{job_id}"


def test_pages_follow_each_other_to_the_last_record(stage: Any, done: str) -> None:
    path, indices = f"{done}/records?limit=4", []
    while path:
        response = stage.http.get(path)
        indices += [record["index"] for record in response.get_json()["records"]]
        path = response.headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert indices == list(range(10))


def test_a_record_has_everything_that_is_known_of_its_item(stage: Any, done: str) -> None:
    [record] = stage.get(done + "/records?limit=1")["records"]
    assert record["item"] == record["value"] == 0
    assert (record["pid"], record["ppid"], record["thread_name"]) == (4243, 4242, "MainThread")
    assert (record["batch"], record["epoch"], record["attempt"]) == (0, 1, 1)
    assert record["wall_s"] == 2e-6
    assert record["cpu_s"] == 5e-7
    assert record["started_at"].endswith("Z")


def test_records_are_filtered_by_state(stage: Any, done: str) -> None:
    failed = stage.get(done + "/records?state=failed,timeout")["records"]
    assert [record["index"] for record in failed] == [3]
    assert failed[0]["error"] == {
        "type": "ValueError",
        "message": "no",
        "traceback": "Traceback ...",
    }
    assert failed[0]["value"] is None


def test_ndjson_has_a_line_per_record(stage: Any, done: str) -> None:
    response = stage.http.get(done + "/records", headers=NDJSON)
    assert response.mimetype == "application/x-ndjson"
    records = [json.loads(line) for line in response.text.splitlines()]
    assert records == stage.get(done + "/records")["records"]


def test_csv_is_read_back_with_json_in_its_value_and_item(stage: Any, done: str) -> None:
    response = stage.http.get(done + "/records", headers=CSV)
    assert response.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(response.text, newline="")))
    assert [int(row["index"]) for row in rows] == list(range(10))
    assert json.loads(rows[9]["value"]) == json.loads(rows[9]["item"]) == {"a": "b,\n"}
    assert (rows[3]["state"], rows[3]["error_type"], rows[3]["value"]) == (
        "failed",
        "ValueError",
        "",
    )


def test_streams_take_cursor_limit_and_state_too(stage: Any, done: str) -> None:
    query = "/records?cursor=2&limit=3&state=succeeded"
    lines = stage.http.get(done + query, headers=NDJSON).text.splitlines()
    assert [json.loads(line)["index"] for line in lines] == [2, 4, 5]


def test_each_field_is_read_alone_as_in_the_whole_record(stage: Any, done: str) -> None:
    whole = stage.get(done + "/records")["records"]
    assert tuple(whole[0]) == RECORD_FIELDS
    for field in RECORD_FIELDS:
        alone = stage.get(f"{done}/records?fields={field}")["records"]
        assert alone == [{field: record[field]} for record in whole], field


def test_chosen_fields_stand_in_their_order_in_every_form(stage: Any, done: str) -> None:
    query = "/records?fields=error,index,value&cursor=2&limit=2&state=succeeded,failed"
    page = stage.http.get(done + query)
    error = {"type": "ValueError", "message": "no", "traceback": "Traceback ..."}
    expected = [
        {"error": None, "index": 2, "value": 2},
        {"error": error, "index": 3, "value": None},
    ]
    assert page.get_json() == {"records": expected, "next": "4"}
    assert "fields=error%2Cindex%2Cvalue" in page.headers["Link"]
    lines = stage.http.get(done + query, headers=NDJSON).text.splitlines()
    assert [json.loads(line) for line in lines] == expected
    assert list(json.loads(lines[0])) == ["error", "index", "value"]
    table = stage.http.get(done + query, headers=CSV).text
    assert table.splitlines() == [
        "error_type,error_message,index,value",
        ",,2,2",
        "ValueError,no,3,",
    ]


def test_items_that_never_ran_have_the_chosen_fields_too(stage: Any) -> None:
    job_id = stage.post(task="echo", items=["a", "b", "c"], batches=3)["id"]
    stage.run(job_id, 1)
    stage.http.post(f"/v1/jobs/{job_id}/cancel")
    found = stage.get(f"/v1/jobs/{job_id}/records?fields=item,attempt")["records"]
    assert found == [
        {"item": "a", "attempt": 0},
        {"item": "b", "attempt": 1},
        {"item": "c", "attempt": 0},
    ]


def test_a_column_that_is_not_asked_for_is_not_decoded(stage: Any, done: str) -> None:
    job_id = done.rpartition("/")[2]
    for batch in (0, 1):
        name = keys.batch_key(job_id, batch) + ":blocks"
        columns = msgpack.unpackb(
            zlib.decompress(stage.redis.lindex(name, 0)), strict_map_key=False
        )
        stage.redis.lset(name, 0, zlib.compress(msgpack.packb(columns | {"v": "rubbish", "L": 0})))
    found = stage.get(done + "/records?fields=index,wall_s")["records"]
    assert found == [{"index": index, "wall_s": 2e-6} for index in range(10)]
    assert stage.get(done + "/records")["records"] == []


def test_a_page_may_not_be_as_long_as_a_stream(stage: Any, done: str) -> None:
    response = stage.http.get(done + "/records?limit=10001")
    assert response.status_code == 422
    assert "application/x-ndjson" in response.get_json()["errors"][0]["message"]
    assert stage.http.get(done + "/records?limit=10001", headers=NDJSON).status_code == 200


def test_while_a_job_runs_only_what_is_recorded_is_shown(stage: Any) -> None:
    job_id = stage.post(task="echo", count=4, batches=2)["id"]
    stage.run(job_id, 1)
    records = stage.get(f"/v1/jobs/{job_id}/records")["records"]
    assert [record["index"] for record in records] == [2, 3]


def test_a_stream_of_many_records_is_whole_to_the_last_one(stage: Any) -> None:
    items = [number * 0.5 for number in range(10_001)]
    job_id = stage.post(task="echo", items=items, batches=3)["id"]
    for batch in range(3):
        stage.run(job_id, batch)
    text = stage.http.get(f"/v1/jobs/{job_id}/records", headers=NDJSON).text
    values = [json.loads(line)["value"] for line in text.splitlines()]
    compact = json.dumps(values, separators=(",", ":")).encode()
    job = stage.get(f"/v1/jobs/{job_id}")
    assert hashlib.sha256(compact).hexdigest() == job["spec"]["items"]["sha256"]
    assert job["sum"] == sum(items)


def test_the_trace_has_a_slice_per_record_and_a_name_per_lane(stage: Any, done: str) -> None:
    trace = stage.get(done + "/trace")
    slices = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert [event["args"]["index"] for event in slices] == list(range(10))
    assert slices[0]["dur"] == 2.0
    names = [event["args"]["name"] for event in trace["traceEvents"] if "name" in event["args"]]
    assert names == ["w1 on box: PID 4243 (PPID 4242)", "MainThread"]


def test_overlapping_tasks_of_one_thread_are_asynchronous_events(stage: Any) -> None:
    job_id = stage.post(task="echo", count=3, backend="asyncio")["id"]
    stage.run(job_id)
    events = stage.get(f"/v1/jobs/{job_id}/trace")["traceEvents"]
    pairs = [(event["ph"], event["id"]) for event in events if "id" in event]
    assert pairs == [(kind, str(index)) for index in range(3) for kind in "be"]


def test_the_trace_of_a_job_that_never_ran_is_empty_and_valid(stage: Any) -> None:
    job_id = stage.post(task="echo", count=3)["id"]
    assert stage.get(f"/v1/jobs/{job_id}/trace")["traceEvents"] == []


def test_failures_are_grouped_and_items_that_never_ran_are_none(stage: Any) -> None:
    job_id = stage.post(task="echo", count=10, batches=2)["id"]
    stage.run(job_id, 0, fail=frozenset([1, 3]))
    stage.http.post(f"/v1/jobs/{job_id}/cancel")
    shown = stage.get(f"/v1/jobs/{job_id}/errors")
    Failures.model_validate(shown)
    assert (shown["total"], shown["grouped"]) == (2, 2)
    [group] = shown["groups"]
    assert (group["type"], group["count"], group["indices"]) == ("ValueError", 2, [1, 3])
    assert group["samples"][0]["error"]["traceback"] == "Traceback ..."

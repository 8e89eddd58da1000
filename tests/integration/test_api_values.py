"""The values of a job: by item index, complete or refused, and whole in any order of recording."""

import json
import random
import time
import zlib
from pathlib import Path
from typing import Any

import msgpack
import psutil
import pytest
from redis import Redis

from batchpool.client import Client
from batchpool.ledger import keys
from batchpool.ledger.blocks import block_values
from batchpool.ledger.blocks.block_head import BlockHead
from tests.integration.api_process import Api
from tests.support.waiting import check_time

NDJSON = {"Accept": "application/x-ndjson"}
ITEMS = [*range(5), "a,b\n[", None, {"x": [1, 2]}, 2.5, True]


@pytest.fixture
def partly(stage: Any) -> str:
    """The path of a job of 10 items in 2 batches; the item 3 has failed."""
    job_id = stage.post(task="echo", items=ITEMS, batches=2)["id"]
    stage.run(job_id, 0, fail=frozenset([3]))
    stage.run(job_id, 1)
    return f"/v1/jobs/{job_id}"


def test_a_job_with_a_failed_item_is_refused_unless_asked_otherwise(
    stage: Any, partly: str
) -> None:
    response = stage.http.get(partly + "/values")
    assert response.status_code == 409
    assert response.get_json()["detail"] == (
        "1 of 10 items have no value; missing=null puts null in their place, "
        "missing=skip leaves them out"
    )
    assert stage.get(partly + "/values?missing=null") == [*ITEMS[:3], None, *ITEMS[4:]]
    assert stage.get(partly + "/values?missing=skip") == [*ITEMS[:3], *ITEMS[4:]]


def test_lines_have_the_same_values(stage: Any, partly: str) -> None:
    response = stage.http.get(partly + "/values?missing=skip", headers=NDJSON)
    assert response.mimetype == "application/x-ndjson"
    assert [json.loads(line) for line in response.text.splitlines()] == [*ITEMS[:3], *ITEMS[4:]]


def test_parts_of_so_many_items_follow_each_other(stage: Any, partly: str) -> None:
    path, parts = f"{partly}/values?missing=skip&limit=3", []
    while path:
        response = stage.http.get(path)
        parts.append(response.get_json())
        path = response.headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert parts == [ITEMS[:3], ITEMS[4:6], ITEMS[6:9], ITEMS[9:]]
    assert stage.get(f"{partly}/values?missing=null&cursor=9&limit=3") == ITEMS[9:]


def test_a_job_that_has_not_begun_has_no_values(stage: Any) -> None:
    path = f"/v1/jobs/{stage.post(task='echo', items=[1, 2])['id']}/values"
    assert stage.http.get(path).status_code == 409
    assert stage.get(path + "?missing=skip") == []
    assert stage.get(path + "?missing=null") == [None, None]
    assert stage.http.get(path + "?missing=skip", headers=NDJSON).text == ""


@pytest.mark.parametrize("ask", ["missing=none", "missing=", "limit=0"])
def test_what_is_asked_is_checked(stage: Any, partly: str, ask: str) -> None:
    assert stage.http.get(f"{partly}/values?{ask}").status_code == 422
    assert stage.http.get("/v1/jobs/" + "0" * 24 + "/values").status_code == 404


def batched(outcomes: list[Any], size: int) -> list[list[Any]]:
    return [outcomes[at : at + size] for at in range(0, len(outcomes), size)]


def _shuffled(outcomes: list[Any]) -> list[list[Any]]:
    random.Random(1).shuffle(outcomes)
    return batched(outcomes, 9)


def test_blocks_in_any_order_across_windows_give_each_value_in_its_place(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_values, "WINDOW", 7)
    count = 100
    job_id = stage.post(task="echo", items=list(range(1000, 1000 + count)), batches=2)["id"]
    stage.run(job_id, 0, order=_shuffled)
    stage.run(job_id, 1, order=lambda found: [found[40:], found[:11], found[11:40]])
    expected = list(range(1000, 1000 + count))
    assert stage.get(f"/v1/jobs/{job_id}/values") == expected
    for first in (1, 6, 49, 50, 57, 99, 100):
        assert stage.get(f"/v1/jobs/{job_id}/values?cursor={first}") == expected[first:]
    lines = stage.http.get(f"/v1/jobs/{job_id}/values", headers=NDJSON).text
    assert lines == "".join(f"{value}\n" for value in expected)


VALUES = [7, -0.1, "a,b\n[", "é\u2028", None, {"x": [1, 2]}, [], True, "", 1e300, "[1]"]


@pytest.mark.parametrize("seed", range(8))
def test_blocks_apart_and_blocks_across_each_other_give_the_same(
    stage: Any, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(block_values, "WINDOW", 5)
    chance = random.Random(seed)
    items = [chance.choice(VALUES) for _ in range(60)]
    failed = frozenset(chance.sample(range(60), seed))
    job_id = stage.post(task="echo", items=items)["id"]

    def some_across(outcomes: list[Any]) -> list[list[Any]]:
        cuts = sorted(chance.sample(range(1, 60), 9))
        blocks = [outcomes[a:b] for a, b in zip([0, *cuts], [*cuts, 60], strict=True)]
        at = chance.randrange(8)
        two = blocks[at] + blocks[at + 1]
        blocks[at : at + 2] = [two[::2], two[1::2]]
        chance.shuffle(blocks)
        return [block for block in blocks if block]

    stage.run(job_id, 0, fail=failed, order=some_across)
    path = f"/v1/jobs/{job_id}/values?missing="
    whole = [None if at in failed else item for at, item in enumerate(items)]
    assert stage.get(path + "null") == whole
    assert stage.get(path + "null&cursor=11&limit=30") == whole[11:41]
    there = [item for at, item in enumerate(items) if at not in failed]
    assert stage.get(path + "skip") == there
    lines = stage.http.get(path + "skip", headers=NDJSON).text
    assert [json.loads(line) for line in lines.split("\n")[:-1]] == there


@pytest.mark.parametrize("text", ["[1,NaN]", " [1,2]", "[1,2", "[1]", '{"1":2}', "[1,2]]", 5, None])
def test_only_the_text_of_a_list_of_that_length_is_passed_on(stage: Any, text: object) -> None:
    job_id = stage.post(task="echo", items=[1, 2])["id"]
    stage.run(job_id, 0)
    key, redis = keys.batch_key(job_id, 0) + ":blocks", stage.redis
    columns = msgpack.unpackb(zlib.decompress(redis.lindex(key, 0)), strict_map_key=False)
    redis.lset(key, 0, zlib.compress(msgpack.packb(columns | {"v": text})))
    found = [1, 2] if text == " [1,2]" else [None, None]
    assert stage.get(f"/v1/jobs/{job_id}/values?missing=null") == found


def test_a_header_that_does_not_fit_its_block_adds_no_value(stage: Any) -> None:
    job_id = stage.post(task="echo", items=[1, 2, 3])["id"]
    stage.run(job_id, 0, order=lambda outcomes: [outcomes[:2], outcomes[2:]])
    key = keys.batch_key(job_id, 0) + ":heads"
    whole = BlockHead(epoch=1, first=0, last=2, counts={"succeeded": 3})
    stage.redis.lset(key, 0, whole.dump())
    stage.redis.lset(key, 1, b"rubbish")
    assert stage.get(f"/v1/jobs/{job_id}/values?missing=null") == [1, 2, None]


def test_a_broken_block_is_said_and_not_left_out(stage: Any) -> None:
    job_id = stage.post(task="echo", items=[1, 2, 3])["id"]
    stage.run(job_id, 0)
    redis: Redis = stage.redis
    redis.lset(keys.batch_key(job_id, 0) + ":blocks", 0, b"rubbish")
    response = stage.http.get(f"/v1/jobs/{job_id}/values")
    assert response.status_code == 409 and "/v1/broken" in response.get_json()["detail"]
    assert stage.get(f"/v1/jobs/{job_id}/values?missing=null") == [None] * 3


@pytest.mark.full
@pytest.mark.alone
def test_a_million_values_are_read_back_fast_in_little_memory(stage: Any, api: Api) -> None:
    items = [index * 0.1 for index in range(1_000_000)]
    job_id = stage.post(task="echo", items=items)["id"]
    stage.run(job_id, 0, order=lambda found: batched(found, 4096))
    (serving,) = psutil.Process(api.process.pid).children()
    with Client(f"http://{api.host}:{api.port}") as client:
        client.ready()
        before, began = sum(serving.cpu_times()), time.process_time()
        found = list(client.values(job_id))
        api_s, client_s = sum(serving.cpu_times()) - before, time.process_time() - began
    status = Path(f"/proc/{serving.pid}/status").read_text()
    peak_kib = int(status.partition("VmHWM:")[2].split()[0])
    print(  # noqa: T201
        f"\n1,000,000 floats: {1 / api_s:.2f} million/s of the API's CPU time, "
        f"{1 / (api_s + client_s):.2f} of both; RSS of the API {peak_kib / 1024:.0f} MiB at most"
    )
    assert found == items
    check_time("a million values, CPU of the API", api_s, 1)
    check_time("a million values, CPU of both", api_s + client_s, 2.5)
    assert peak_kib < 150 << 10

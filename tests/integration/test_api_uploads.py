"""Items as a body of lines: taken in while they come, whole or not at all."""

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from itertools import chain
from typing import Any

import psutil
import pytest

from batchpool.api.problems import Problem
from batchpool.api.serving import late_body
from batchpool.ledger.jobs import Jobs
from tests.integration.api_process import Api
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until

NDJSON, CSV = "application/x-ndjson", "text/csv"
MIB = 1 << 20


def headers(kind: str = NDJSON, **job: Any) -> dict[str, str]:
    return {"Content-Type": kind, "Batchpool-Job": json.dumps({"task": "echo"} | job)}


def upload(
    stage: Any, body: bytes, status: int = 202, kind: str = NDJSON, query: str = "", **job: Any
) -> dict[str, Any]:
    answer = stage.http.post(f"/v1/jobs{query}", data=body, headers=headers(kind, **job))
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def items_of(stage: Any, job: dict[str, Any]) -> list[Any]:
    return list(Jobs(stage.redis).items(job["id"], 0, job["progress"]["total"]))


def left(redis: Any) -> list[bytes]:
    """Keys of jobs and uploads."""
    return [*redis.scan_iter("bp:job:*"), *redis.scan_iter("bp:upload:*")]


def test_each_line_is_an_item(stage: Any) -> None:
    given = [1, "two", {"three": [3.5, None]}, [], "ä\u2028ü", 10**30]
    texts = [json.dumps(each, ensure_ascii=False) for each in given]
    job = upload(stage, "\r\n".join([*texts[:2], "", *texts[2:], " "]).encode(), batches=2)
    assert items_of(stage, job) == given and len(job["batches"]) == 2
    assert stage.post(task="echo", items=given, batches=2)["spec"] == job["spec"]
    stage.run(job["id"])
    stage.run(job["id"], 1)
    records = stage.get(f"/v1/jobs/{job['id']}/records")["records"]
    assert [record["item"] for record in records] == given


def test_large_items_are_stored_in_several_parts(stage: Any) -> None:
    given = [str(n) * 100_000 for n in range(60)]
    job = upload(stage, "\n".join(map(json.dumps, given)).encode())
    assert items_of(stage, job) == given
    assert stage.redis.hlen(f"bp:job:{job['id']}:items") > 4
    stage.run(job["id"])
    records = stage.get(f"/v1/jobs/{job['id']}/records?cursor=58")["records"]
    assert [record["item"] for record in records] == given[58:]


def test_each_row_of_csv_is_an_object_of_text(stage: Any) -> None:
    body = '\ufeffname,"of ""it"""\r\nä,1\r\n\r\n"two\r\nlines","a,b"\r\n,""'.encode()
    job = upload(stage, body, kind=f"{CSV}; charset=utf-8")
    assert items_of(stage, job) == [
        {"name": "ä", 'of "it"': "1"},
        {"name": "two\r\nlines", 'of "it"': "a,b"},
        {"name": "", 'of "it"': ""},
    ]


def test_cells_of_csv_have_the_type_of_their_column(stage: Any) -> None:
    types = {"n": "number", "ok": "boolean", "x": "json", "t": "text"}
    body = b'n,t,ok,x\n12,12,true,"[1, {""a"": null}]"\n-1.5e3,,false,\n,a,,7\n'
    big = 10**400
    job = upload(stage, body + f"{big},b,true,0".encode(), kind=CSV, columns=types)
    found = items_of(stage, job)
    assert found == [
        {"n": 12, "t": "12", "ok": True, "x": [1, {"a": None}]},
        {"n": -1500.0, "t": "", "ok": False, "x": None},
        {"n": None, "t": "a", "ok": None, "x": 7},
        {"n": big, "t": "b", "ok": True, "x": 0},
    ]
    assert [type(item["n"]) for item in found] == [int, float, type(None), int]


@pytest.mark.parametrize("cell", ["1,5", "abc", "0x1", "1_0", " ", "NaN", "1e999", "true", "007"])
def test_a_cell_that_is_no_number_is_named(stage: Any, cell: str) -> None:
    before = stage.redis.dbsize()
    body = f'a,n\n1,2\n"x\ny",3\n2,"{cell}"\n'.encode()
    found = stage.http.post("/v1/jobs", data=body, headers=headers(CSV, columns={"n": "number"}))
    assert found.status_code == 400, found.text
    assert found.get_json()["detail"].startswith("line 5: column 'n': ")
    assert stage.redis.dbsize() == before


def test_types_that_cannot_be_are_refused(stage: Any) -> None:
    for kind, columns, status, says in (
        (CSV, {"b": "number"}, 400, "line 1: there is no column 'b', which has a type; known: a"),
        (CSV, {"a": "float"}, 422, "columns: unknown type 'float' of 'a'; known: text, "),
        (CSV, [], 422, "columns: must be an object of types by column"),
        (NDJSON, {"a": "number"}, 422, "columns: only a body of CSV has columns"),
    ):
        sent = headers(kind, columns=columns)
        found = stage.http.post("/v1/jobs", data=b"a\n1\n", headers=sent)
        assert (found.status_code, says in found.text) == (status, True), found.text
    plain = stage.http.post("/v1/jobs", json={"task": "echo", "count": 1, "columns": {}})
    assert plain.status_code == 422 and "columns: unknown field" in plain.text


LONG = b'"' + b"x" * MIB + b'"'
REFUSED: dict[str, tuple[str, bytes, int, str]] = {
    "no JSON": (NDJSON, b"1\n{", 400, "line 2: not JSON: Expecting property name enclosed in "),
    "two values": (NDJSON, b"1\n2 3", 400, "line 2: not JSON: Extra data at column 3"),
    "across lines": (NDJSON, b"[1\n2]", 400, "line 1: not JSON: Expecting ',' delimiter at column"),
    "a name twice": (NDJSON, b'\n{"a":1,"a":2}', 400, "line 2: the name 'a' is given twice"),
    "NaN": (NDJSON, b"1\n\n\nNaN", 400, "line 4: NaN is not JSON; numbers must be finite"),
    "1e999": (NDJSON, b"1\n1e999\n2", 400, "line 2: a number is too large for a float"),
    "deep": (NDJSON, b"1\n" + b"[" * 101 + b"]" * 101, 400, "line 2: nested deeper than 100"),
    "deeper": (NDJSON, b"1\n" + b"[" * 50_000, 400, "line 2: nested deeper than 100"),
    "digits": (NDJSON, b"9" * 4301, 400, "line 1: integers must have at most 4300 digits"),
    "surrogate": (NDJSON, b'1\n"\\ud800"', 400, "line 2: a string has half of a surrogate pair"),
    "not UTF-8": (NDJSON, b'1\n2\n"\xff"', 400, "line 3: not UTF-8 at byte 1"),
    "a long line": (NDJSON, b"1\n" + LONG, 400, "line 2: must have at most 1048576 bytes"),
    "a long line more": (NDJSON, b"1\n" + LONG + b"\n1", 400, "line 2: must have at most 1048576"),
    "nothing": (NDJSON, b"\n \n", 422, "items: must have at least one item, got none"),
    "no body": (NDJSON, b"", 422, "items: must have at least one item, got none"),
    "columns": (CSV, b"a,b\n1,2\n\n1\n", 400, "line 4: has 1 columns, the first row 2"),
    "open quote": (CSV, b'a\n"1\n2\n', 400, "line 2: not CSV: unexpected end of data"),
    "bad quote": (CSV, b'a\n1\n"1"2\n', 400, "line 3: not CSV: ',' expected after '\"'"),
    "twice": (CSV, b"a,b,a\n", 400, "line 1: the column 'a' is given twice"),
    "no name": (CSV, b"a,\n1,2\n", 400, "line 1: the first row must name each column"),
    "a long row": (CSV, b'a\n1\n"' + b"x\n" * MIB, 400, "line 3: must have at most 1048576 bytes"),
    "bad text": (CSV, b"a\n1\n\xff", 400, "line 3: not UTF-8 at byte 0"),
    "a header only": (CSV, b"a,b\n", 422, "items: must have at least one item, got none"),
}


@pytest.mark.parametrize("how", REFUSED)
def test_a_bad_line_is_named_and_nothing_is_ordered(stage: Any, how: str) -> None:
    kind, body, status, says = REFUSED[how]
    assert says in upload(stage, body, status, kind)["detail"]
    assert left(stage.redis) == []


ORDERS: dict[str, tuple[dict[str, Any], str]] = {
    "items": ({"items": [1]}, "items: must be left out of Batchpool-Job"),
    "count": ({"count": 3}, "count: must be left out of Batchpool-Job"),
    "task": ({"task": "nobody"}, "task: unknown task 'nobody'"),
    "field": ({"bathces": 3}, "bathces: unknown field"),
    "batches": ({"batches": 3}, "batches: must be at most 2, the number of items, got 3"),
    "many batches": ({"batches": 2000}, "batches: must be at most 1000, got 2000"),
}


@pytest.mark.parametrize("how", ORDERS)
def test_an_order_that_cannot_be_run_is_refused(stage: Any, how: str) -> None:
    order, says = ORDERS[how]
    assert says in upload(stage, b"1\n2\n", 422, **order)["detail"]
    assert left(stage.redis) == []


def test_the_order_stands_in_a_header(stage: Any) -> None:
    for text, status, says in (
        (None, 422, "Batchpool-Job: is required"),
        ("{", 400, "Batchpool-Job: not JSON"),
        ("[]", 422, "must be an object"),
    ):
        sent = {"Content-Type": NDJSON} | ({} if text is None else {"Batchpool-Job": text})
        answer = stage.http.post("/v1/jobs", data=b"1", headers=sent)
        assert (answer.status_code, says in answer.text) == (status, True), answer.text


def test_a_key_makes_one_job_of_an_upload(stage: Any) -> None:
    def post(body: bytes, **more: Any) -> Any:
        sent = headers() | {"Idempotency-Key": "k"}
        return stage.http.post("/v1/jobs", data=body, headers=sent, **more)

    first = post(b"1\n2")
    before = left(stage.redis)
    assert post(b"1\r\n2\r\n").get_json()["id"] == first.get_json()["id"]
    order = {"task": "echo", "items": [1, 2]}
    again = stage.http.post("/v1/jobs", json=order, headers={"Idempotency-Key": "k"})
    assert again.get_json()["id"] == first.get_json()["id"]
    assert post(b"1\n3").status_code == 409
    assert sorted(left(stage.redis)) == sorted(before)


@pytest.mark.parametrize("kind", ["upload", "json"])
def test_a_dry_run_answers_as_the_order_would_and_stores_nothing(stage: Any, kind: str) -> None:
    def send(query: str, items: list[Any], **job: Any) -> Any:
        path = f"/v1/jobs{query}"
        if kind == "json":
            return stage.http.post(path, json={"task": "echo", "items": items} | job)
        lines = "\n".join(map(json.dumps, items)).encode()
        return stage.http.post(path, data=lines, headers=headers(**job))

    done = send("", [1, 2, 3]).get_json()["id"]
    stage.run(done)
    before = stage.redis.dbsize(), stage.redis.hgetall("bp:counts")
    found = send("?dry_run=1", [1, 2, 3], batches=2)
    assert found.status_code == 200, found.text
    plan = found.get_json()
    assert plan["batches"] == [{"first": 0, "count": 2}, {"first": 2, "count": 1}]
    assert plan["spec"]["items"]["count"] == 3 and plan["workers"] == 1
    assert plan["forecast"]["like"] == done and plan["forecast"]["run_s"] >= 0
    assert (stage.redis.dbsize(), stage.redis.hgetall("bp:counts")) == before
    for items, job in (([1], {"task": "x"}), ([1], {"batches": 2}), ([1], {"concurrency": 0})):
        dry, real = send("?dry_run=1", items, **job), send("", items, **job)
        assert (dry.status_code, dry.get_json()) == (real.status_code, real.get_json())
        assert dry.status_code == 422
    stage.redis.config_set("maxmemory", stage.redis.info("memory")["used_memory"])
    try:
        dry, real = send("?dry_run=1", [1]), send("", [1])
        assert dry.status_code == real.status_code == 507
    finally:
        stage.redis.config_set("maxmemory", 0)
    assert send("?dry_run=yes", [1]).status_code == 422


def test_a_retry_takes_its_items_in_as_an_upload_does(stage: Any) -> None:
    job_id = stage.post(task="echo", items=list(range(500)), batches=3)["id"]
    for batch in range(3):
        stage.run(job_id, batch, frozenset(range(0, 500, 2)))
    key = {"Idempotency-Key": "again"}
    made = [stage.http.post(f"/v1/jobs/{job_id}/retry", headers=key) for _ in range(2)]
    assert [each.status_code for each in made] == [202, 202]
    assert made[0].get_json()["id"] == made[1].get_json()["id"]
    assert items_of(stage, made[0].get_json()) == list(range(0, 500, 2))
    assert not list(stage.redis.scan_iter("bp:upload:*"))


def test_an_upload_ends_at_the_limits(start_api: Any, stage: Any) -> None:
    limits = {"BATCHPOOL_MAX_ITEMS": "5", "BATCHPOOL_MAX_QUEUED_ITEMS": "8"}
    api = start_api(environ=limits | {"BATCHPOOL_MAX_UPLOAD_BYTES": "1024"})
    sent = headers()
    for lines, status, says in (
        (6, 422, "items: must be at most 5 items, got more"),
        (5, 202, ""),
        (4, 429, "9 items would wait for a worker; at most 8 can"),
        (600, 413, "the body must be at most 1024 bytes (BATCHPOOL_MAX_UPLOAD_BYTES)"),
    ):
        found = api.ask("POST", "/v1/jobs", b"1\n" * lines, **sent)
        assert (found[0], says in str(found[1])) == (status, True), found
    narrow = b"a" * 600 + b"\n" + b"1\n" * 3
    assert api.ask("POST", "/v1/jobs", narrow, **headers(CSV))[0] == 413
    assert list(stage.redis.scan_iter("bp:upload:*")) == []


def numbers(count: int) -> Iterator[bytes]:
    """Lines, in pieces as a client sends them."""
    for start in range(0, count, 20_000):
        yield b"".join(b"%d\n" % n for n in range(start, min(count, start + 20_000)))


LARGE = [pytest.mark.full, pytest.mark.timeout(1800)]


@pytest.mark.parametrize(
    ("count", "batches"), [(200_000, 10), pytest.param(10_000_000, 100, marks=LARGE)]
)
def test_numbers_that_are_uploaded_add_up(
    crew: StackProcesses, start_api: Any, count: int, batches: int
) -> None:
    """In bounded memory: of the API with all its processes, and of each process of a worker."""
    api = start_api(environ={"BATCHPOOL_MAX_ITEMS": "10000000"})
    workers = crew.start_workers(2)
    serving = psutil.Process(api.process.pid)
    most = {"API": 0, "worker": 0}

    def watched() -> Iterator[bytes]:
        for piece in numbers(count):
            note(most, "API", serving)
            yield piece

    began = time.monotonic()
    job = {"task": "echo", "backend": "thread-pool", "concurrency": 4, "batches": batches}
    status, made = api.ask("POST", "/v1/jobs", watched(), **headers(**job))
    assert status == 202, made
    uploaded_s = time.monotonic() - began
    job_id = made["id"]
    items_bytes = crew.redis.memory_usage(f"bp:job:{job_id}:items", samples=0)

    def has_ended() -> bool:
        note(most, "API", serving)
        for worker in workers:
            note(most, "worker", psutil.Process(worker.pid))
        return bool(crew.redis.hget(f"bp:job:{job_id}", "state") == b"succeeded")

    wait_until(has_ended, 60 + count / 10_000, "the end of the job")
    found = api.ask("GET", f"/v1/jobs/{job_id}")[1]
    assert found["sum"] == sum(range(count)) and found["progress"]["succeeded"] == count
    redis_bytes = crew.redis.info("memory")["used_memory"]
    print(  # noqa: T201
        f"{count:,} items: uploaded in {uploaded_s:.1f} s, run {time.monotonic() - began:.1f} s; "
        f"items {items_bytes >> 20} MiB, Redis {redis_bytes >> 20} MiB; "
        + ", ".join(f"{name} {size >> 20} MiB" for name, size in most.items())
    )
    assert max(most.values()) < 300 * MIB, most


def note(most: dict[str, int], name: str, root: psutil.Process) -> None:
    """Keep the largest resident size of any process of a tree."""
    for process in [root, *root.children(recursive=True)]:
        try:
            most[name] = max(most[name], process.memory_info().rss)
        except psutil.NoSuchProcess:
            continue


class Upload:
    """An upload under way, on a socket of its own."""

    def __init__(self, api: Api, length: int | None = 1 << 30) -> None:
        self.socket = socket.create_connection((api.host, api.port), 20)
        framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        sent = "".join(f"{name}: {value}\r\n" for name, value in headers().items())
        self.socket.sendall(
            f"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\n{sent}{framing}\r\n\r\n".encode()
        )

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.socket.sendall(piece)

    def answer(self) -> bytes:
        """What the server says until it closes; nothing if it is killed."""
        with self.socket as client, contextlib.suppress(ConnectionResetError):
            return b"".join(iter(lambda: client.recv(1 << 16), b""))
        return b""


def is_taken_in(redis: Any) -> bool:
    return any(redis.scan_iter("bp:upload:*"))


def test_a_cut_upload_is_removed_at_once(api: Api, stage: Any) -> None:
    for end in (socket.SHUT_WR, socket.SHUT_RDWR):
        under_way = Upload(api)
        under_way.send(*numbers(400_000))
        wait_until(lambda: is_taken_in(stage.redis), 30, "its first block")
        assert api.ask("GET", "/healthz")[0] == 200
        assert stage.redis.keys("bp:job:*") == []
        under_way.socket.shutdown(end)
        answer = under_way.answer()
        assert (b" 400 " in answer and b"the body ends after" in answer) == (end == socket.SHUT_WR)
        wait_until(lambda: left(stage.redis) == [], 10, "the end of what had come")


def test_three_uploads_come_at_once_and_others_are_asked_to_wait(api: Api, stage: Any) -> None:
    under_way = [Upload(api) for _ in range(3)]
    for each in under_way:
        each.send(*numbers(200_000))
    wait_until(lambda: len(list(stage.redis.scan_iter("bp:upload:*"))) == 3, 60, "their blocks")
    more = Upload(api)
    more.send(*numbers(200_000))
    answer = more.answer()
    assert b" 503 " in answer and b"3 large bodies are being read" in answer
    for each in under_way:
        each.socket.close()
    wait_until(lambda: left(stage.redis) == [], 10, "the end of what had come")


def test_a_bad_line_ends_an_upload_that_is_under_way(api: Api, stage: Any) -> None:
    under_way = Upload(api, None)
    pieces = chain(numbers(200_000), [b"{\n"], numbers(100_000))
    under_way.send(*(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces))
    # More may come: it is not waited for.
    answer = under_way.answer()
    assert b" 400 " in answer and b"line 200001: not JSON" in answer
    assert left(stage.redis) == []


def test_an_upload_in_chunks_is_taken(api: Api, stage: Any) -> None:
    status, job = api.ask("POST", "/v1/jobs?wait=0", numbers(300_000), **headers(batches=3))
    assert status == 202, job
    assert items_of(stage, job) == list(range(300_000))
    status, plan = api.ask("POST", "/v1/jobs?dry_run=1", numbers(300_000), **headers(batches=3))
    assert (status, len(plan["batches"])) == (200, 3), plan


@pytest.mark.parametrize("number", [signal.SIGKILL, *full(signal.SIGTERM)])
def test_an_upload_dies_with_its_api(start_api: Any, stage: Any, number: signal.Signals) -> None:
    api = start_api()
    under_way = Upload(api)
    under_way.send(*numbers(400_000))
    wait_until(lambda: is_taken_in(stage.redis), 30, "its first block")
    tree = psutil.Process(api.process.pid).children(recursive=True)
    if number == signal.SIGKILL:
        for pid in (api.process.pid, *(process.pid for process in tree)):
            os.kill(pid, number)
        api.process.communicate()
        under_way.socket.close()
        (key,) = stage.redis.scan_iter("bp:upload:*")
        assert 0 < stage.redis.ttl(key) <= 600
    else:
        api.end(number)
        assert b" 202 " not in under_way.answer()
    assert stage.redis.keys("bp:job:*") == []


def test_an_upload_that_comes_too_slowly_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_body, "RATE_S", 0.2)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        late = late_body.LateBody(ours, lambda: True)
        theirs.sendall(b"x" * 8192)
        assert late.recv(10_000) == b"x" * 8192
        theirs.sendall(b"y")
        assert late.recv(10_000) == b"y"
        with pytest.raises(Problem, match="408"):
            late.recv(10_000)
        monkeypatch.setattr(late_body, "MOST_S", 0.0)
        with pytest.raises(Problem, match="408"):
            late_body.LateBody(ours, lambda: True).recv(1)
        with pytest.raises(Problem, match="503"):
            late_body.LateBody(ours, lambda: False).recv(1)

"""The Python client against a real HTTP server that answers what a test says."""

import json
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from batchpool.client import (
    ApiError,
    Client,
    Conflict,
    InvalidRequest,
    NotFound,
    Unavailable,
    Unreachable,
    WaitTimeout,
)
from tests.support.waiting import check_time


def job_document(state: str = "queued", **changes: Any) -> dict[str, Any]:
    return {"id": "j1", "state": state, "sum": 0, "progress": {}, "timing": {}} | changes


@dataclass
class Script:
    """The answers to come, in order, and the requests that came."""

    url: str = ""
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    def answer(self, status: int, body: Any, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers.append((status, headers, raw))

    def drop(self) -> None:
        """Close the connection without an answer."""
        self.answers.append((0, {}, b""))


@pytest.fixture
def script() -> Iterator[Script]:
    told = Script()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            told.seen.append((self.command, self.path, dict(self.headers), body))
            status, headers, answer = told.answers.pop(0)
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_DELETE = handle_any

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_port}"
    yield told
    server.shutdown()
    server.server_close()
    thread.join()
    assert not told.answers, "the client asked less often than the test expects"


@pytest.fixture
def client(script: Script) -> Iterator[Client]:
    with Client(script.url, retry_for_s=3) as client:
        yield client


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, InvalidRequest),
        (415, InvalidRequest),
        (422, InvalidRequest),
        (404, NotFound),
        (409, Conflict),
        (429, Unavailable),
        (503, Unavailable),
        (507, Unavailable),
        (500, ApiError),
    ],
)
def test_each_refusal_is_an_error_of_its_kind(
    script: Script, client: Client, status: int, error: type[ApiError]
) -> None:
    script.answer(status, {"title": "No", "detail": "for a reason", "status": status})
    with pytest.raises(ApiError) as refused:
        client.job("j1")
    assert type(refused.value) is error
    assert refused.value.status == status
    assert str(refused.value) == "No: for a reason"


def test_a_refusal_names_the_fields(script: Script, client: Client) -> None:
    errors = [{"field": "count", "message": "too small"}]
    script.answer(422, {"title": "Invalid", "errors": errors})
    with pytest.raises(InvalidRequest, match="count: too small") as refused:
        client.submit("sleep", count=0)
    assert refused.value.fields == {"count": "too small"}


def test_retry_after_is_told(script: Script, client: Client) -> None:
    script.answer(503, {"title": "Later"}, Retry_After="7")
    with pytest.raises(Unavailable) as refused:
        client.submit("sleep", count=1)
    assert refused.value.retry_after_s == 7.0


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b""])
def test_an_error_that_is_no_problem_document_is_still_told(
    script: Script, client: Client, body: bytes
) -> None:
    script.answer(502, body)
    with pytest.raises(ApiError, match="HTTP 502"):
        client.job("j1")


def test_nobody_there_is_said_at_once() -> None:
    with Client("http://127.0.0.1:9", retry_for_s=30) as client:
        started = time.monotonic()
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9"):
            client.job("j1")
        check_time("the answer", time.monotonic() - started, 5)


def test_a_submission_is_repeated_with_the_same_key_when_its_answer_is_lost(
    script: Script, client: Client
) -> None:
    script.answer(200, job_document())
    client.job("j1")
    script.drop()
    script.answer(202, job_document())
    job = client.submit("sleep", count=5, params={"seconds": 2}, backend="threading")
    assert job.id == "j1"
    first, second = script.seen[-2:]
    assert first[2]["Idempotency-Key"] == second[2]["Idempotency-Key"]
    assert json.loads(second[3]) == {
        "task": "sleep",
        "count": 5,
        "params": {"seconds": 2},
        "backend": "threading",
    }


def test_two_submissions_have_two_keys(script: Script, client: Client) -> None:
    for _ in range(2):
        script.answer(202, job_document())
        client.submit("sleep", count=1)
    assert len({headers["Idempotency-Key"] for _, _, headers, _ in script.seen}) == 2


def test_waiting_is_a_long_poll_that_is_renewed(script: Script, client: Client) -> None:
    script.answer(200, job_document("running"))
    script.answer(200, job_document("succeeded"))
    assert client.wait("j1").succeeded
    assert [path.partition("=")[2] for _, path, _, _ in script.seen] == ["30.000", "30.000"]


def test_a_service_that_does_not_hold_the_answer_back_is_not_asked_in_a_loop(
    script: Script, client: Client
) -> None:
    script.answer(200, job_document("running"))
    script.answer(200, job_document("running"))
    script.answer(200, job_document("succeeded"))
    started = time.monotonic()
    client.wait("j1")
    assert time.monotonic() - started >= 0.9


def test_a_wait_outlasts_a_service_that_has_lost_its_redis(script: Script, client: Client) -> None:
    script.answer(503, {"title": "Unavailable"}, Retry_After="1")
    script.answer(200, job_document("succeeded"))
    assert client.wait("j1").succeeded


def test_a_wait_that_is_over_says_how_far_the_job_is(script: Script, client: Client) -> None:
    script.answer(200, job_document("running"))
    with pytest.raises(WaitTimeout, match="running"):
        client.wait("j1", wait_s=0)


def test_a_stream_that_is_refused_for_now_says_why(script: Script) -> None:
    script.answer(503, {"title": "Unavailable", "detail": "all 3 streams are in use"})
    with (
        Client(script.url, retry_for_s=0) as client,
        pytest.raises(Unavailable, match="all 3 streams"),
    ):
        next(client.stream("j1"))


def test_records_are_read_line_by_line(script: Script, client: Client) -> None:
    script.answer(200, b'{"index": 0}\n{"index": 1}\n')
    found = list(client.records("j1", ["failed", "crashed"]))
    assert found == [{"index": 0}, {"index": 1}]
    _, path, headers, _ = script.seen[0]
    assert path == "/v1/jobs/j1/records?state=failed%2Ccrashed&cursor=0"
    assert headers["Accept"] == "application/x-ndjson"


def test_a_cut_event_stream_goes_on_after_the_last_event(script: Script, client: Client) -> None:
    script.answer(200, b'id: 1-0\nevent: progress\ndata: {"n": 1}\n\n')
    script.drop()
    script.answer(200, b': hello\n\nid: 2-0\nevent: end\ndata: {"n": 2}\n\n')
    events = list(client.events("j1"))
    assert [(event.id, event.type, event.data["n"]) for event in events] == [
        ("1-0", "progress", 1),
        ("2-0", "end", 2),
    ]
    assert script.seen[-1][2]["Last-Event-ID"] == "1-0"


def test_jobs_are_listed_over_all_pages(script: Script, client: Client) -> None:
    script.answer(200, {"jobs": [job_document(id="a")], "next": "c1"})
    script.answer(200, {"jobs": [job_document(id="b")], "next": None})
    assert [job.id for job in client.jobs(state="queued")] == ["a", "b"]
    assert script.seen[1][1] == "/v1/jobs?state=queued&cursor=c1"


def test_a_red_readiness_is_an_answer(script: Script, client: Client) -> None:
    script.answer(503, {"status": "unavailable", "reasons": ["no worker was ever seen"]})
    assert client.ready()["reasons"] == ["no worker was ever seen"]


def test_a_short_job_is_run_in_one_request(script: Script) -> None:
    script.answer(202, job_document("succeeded", sum=3))
    with Client(script.url) as client:
        assert client.run("echo", count=3).sum == 3
    ((verb, path, _, body),) = script.seen
    assert (verb, path) == ("POST", "/v1/jobs?wait=30.000")
    assert json.loads(body) == {"task": "echo", "count": 3}


def test_a_long_job_is_waited_for_and_no_longer_than_asked(script: Script) -> None:
    script.answer(202, job_document("running"))
    script.answer(200, job_document("succeeded"))
    script.answer(202, job_document("queued"))
    script.answer(200, job_document("queued"))
    with Client(script.url) as client:
        assert client.run("echo", count=3).succeeded
        with pytest.raises(WaitTimeout):
            client.run("echo", count=3, wait_s=0.001)
    assert [verb for verb, *_ in script.seen] == ["POST", "GET", "POST", "GET"]


def executed_document(state: str = "succeeded") -> dict[str, Any]:
    return job_document(state, progress={"total": 1, "pending": 0, "running": 0, "succeeded": 1})


RECORD = {"index": 0, "state": "succeeded", "value": 7, "error": None}


def test_a_call_whose_answer_is_lost_is_sent_again_with_its_key(
    script: Script, client: Client
) -> None:
    script.answer(200, job_document())
    client.job("j1")
    script.drop()
    script.answer(202, executed_document())
    script.answer(200, {"records": [RECORD], "next": None})
    with client.executor("echo", backend="sequential") as executor:
        assert executor.submit("echo", {"a": "é"}).result(10) == 7
    first, second = script.seen[1:3]
    assert first[2]["Idempotency-Key"] == second[2]["Idempotency-Key"]
    assert first[3] == second[3]
    assert json.loads(first[3]) == {
        "task": "echo",
        "backend": "sequential",
        "items": [{"a": "é"}],
    }


def test_calls_wait_while_the_queue_is_full(script: Script, client: Client) -> None:
    script.answer(429, {"title": "Too many queued items"}, Retry_After="0.01")
    script.answer(202, executed_document())
    script.answer(200, {"records": [RECORD], "next": None})
    with client.executor() as executor:
        assert executor.submit("echo", 1).result(10) == 7
    assert len({headers.get("Idempotency-Key") for _, _, headers, _ in script.seen[:2]}) == 1


def test_a_call_without_a_record_has_an_exception(script: Script, client: Client) -> None:
    script.answer(202, executed_document())
    script.answer(200, {"records": [], "next": None})
    with client.executor() as executor:
        error = executor.submit("echo", 1).exception(10)
    assert isinstance(error, BrokenExecutor) and "no record of it" in str(error)


def test_each_request_has_its_query_and_the_name_and_password_of_the_url(script: Script) -> None:
    script.answer(200, {"jobs": [], "next": None})
    script.answer(202, job_document("succeeded"))
    with Client(script.url.replace("//", "//ann:s%26x@")) as client:
        assert list(client.jobs(label="a&b=c d", limit=5)) == []
        client.run("echo", count=1)
    (_, listed, headers, _), (_, run, other, body) = script.seen
    assert parse_qs(urlsplit(listed).query) == {"label": ["a&b=c d"], "limit": ["5"]}
    assert urlsplit(run).path == "/v1/jobs" and float(parse_qs(urlsplit(run).query)["wait"][0]) > 1
    assert json.loads(body) == {"task": "echo", "count": 1}
    told = {b64decode(each["Authorization"].removeprefix("Basic ")) for each in (headers, other)}
    assert told == {b"ann:s&x"}

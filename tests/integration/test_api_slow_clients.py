"""Clients that send slowly, say nothing or do not read: everybody else is served at once."""

import json
import re
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from tests.integration.api_process import Api
from tests.support.sampling import full
from tests.support.waiting import check_time

HEAD = b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
SLOW = {
    "no byte": b"",
    "half a head": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-",
    "half a body": HEAD + b"Content-Length: 100\r\n\r\n{",
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n19\r\n{",
}


@pytest.fixture
def clients(api: Api) -> Iterator[Any]:
    """Opens connections and closes them after the test."""
    opened: list[socket.socket] = []

    def connect(data: bytes, receive_bytes: int | None = None, server: Api = api) -> socket.socket:
        client = socket.socket()
        opened.append(client)
        if receive_bytes is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        client.settimeout(30)
        client.connect((server.host, server.port))
        client.sendall(data)
        return client

    yield connect
    for client in opened:
        client.close()


@pytest.mark.parametrize("count", [30, pytest.param(150, marks=pytest.mark.full)])
def test_slow_senders_take_nothing_and_are_turned_away(api: Api, clients: Any, count: int) -> None:
    slow = {kind: [clients(data) for _ in range(count)] for kind, data in SLOW.items()}
    began = time.monotonic()
    with api.served_at_once():
        answers = {kind: [_read_all(client) for client in group] for kind, group in slow.items()}
    check_time("turning slow senders away", time.monotonic() - began, 25)
    for kind, found in answers.items():
        for answer in found:
            if kind == "no byte":
                assert answer == b""
            else:
                head, _, body = answer.partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 408 "), (kind, answer)
                assert json.loads(body)["status"] == 408


def test_a_body_that_keeps_the_least_rate_is_taken(api: Api, stage: Any, clients: Any) -> None:
    order = json.dumps({"task": "echo", "items": ["x" * 1000] * 130}).encode()
    client = clients(HEAD + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(order))
    for start in range(0, len(order), len(order) // 12):
        client.sendall(order[start : start + len(order) // 12])
        time.sleep(1)
    assert _read_all(client).startswith(b"HTTP/1.1 202 ")


def _read_all(client: socket.socket) -> bytes:
    found = b""
    with suppress(ConnectionResetError):
        while data := client.recv(65536):
            found += data
    return found


@pytest.mark.parametrize("count", [16, pytest.param(64, marks=pytest.mark.full)])
def test_readers_that_do_not_read_leave_others_served(
    api: Api, stage: Any, clients: Any, count: int
) -> None:
    job = stage.post(task="echo", items=["x" * 4000] * 3000)["id"]
    stage.run(job)
    accepts = {
        "/records": b"application/x-ndjson",
        "/records?": b"text/csv",
        "/records?limit=3000": b"application/json",
        "/trace": b"application/json",
        "/events": b"text/event-stream",
    }
    with api.served_at_once():
        for path, accept in accepts.items():
            for _ in range(count):
                request = b"GET /v1/jobs/%s%s HTTP/1.1\r\nHost: localhost\r\nAccept: %s\r\n\r\n"
                clients(request % (job.encode(), path.encode(), accept), receive_bytes=4096)
        time.sleep(3)
    status, problem = api.ask("GET", f"/v1/jobs/{job}/records", Accept="text/csv")
    assert (status, problem["status"]) == (503, 503)
    if count > 16:
        stage.until(lambda: _download(api, job) == 200, within_s=40)


def _download(api: Api, job: str) -> int:
    connection = api.connect()
    connection.request("GET", f"/v1/jobs/{job}/records", headers={"Accept": "text/csv"})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


@pytest.mark.parametrize("count", [200, pytest.param(1000, marks=pytest.mark.full)])
def test_kept_alive_connections_leave_others_served(api: Api, clients: Any, count: int) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with api.served_at_once():
        kept = [clients(request) for _ in range(count)]
        for _ in range(2):
            for client in kept:
                assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
                client.sendall(request)


def test_the_place_of_a_wait_is_free_soon_after_its_client_has_left(
    api: Api, stage: Any, clients: Any
) -> None:
    job = stage.post(task="echo", count=1)["id"]
    wait = f"GET /v1/jobs/{job}?wait=30 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    waiting = [clients(wait) for _ in range(5)]
    stage.until(lambda: stage.redis.info("clients")["blocked_clients"] == 5)
    assert _waits(api, job) is False
    for client in waiting:
        client.close()
    stage.until(lambda: stage.redis.info("clients")["blocked_clients"] == 0, within_s=3)
    # Its thread frees the place a moment after Redis has let it go.
    stage.until(lambda: _waits(api, job), within_s=1)


def _waits(api: Api, job: str) -> bool:
    """Whether there is a place to wait in."""
    connection = api.connect()
    connection.request("GET", f"/v1/jobs/{job}?wait=0.1")
    response = connection.getresponse()
    response.read()
    connection.close()
    return "Retry-After" not in response.headers


def test_requests_that_come_together_are_answered_in_order(api: Api, clients: Any) -> None:
    ask = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n"
    post = HEAD + b"Content-Length: 2\r\n\r\n{}"
    last = ask.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    client = clients(ask % b"healthz" + post + ask % b"nope" + last % b"healthz")
    assert re.findall(rb"HTTP/1.1 (\d+) ", _read_all(client)) == [b"200", b"422", b"404", b"200"]


def _answer(client: socket.socket) -> bytes:
    head, _, body = client.recv(100_000).partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: ([0-9]+)", head)
    assert length and len(body) == int(length[1])
    return head[9:12]


@pytest.mark.parametrize("cut", [20, *full(1, len(HEAD) + 25)])
def test_a_request_may_begin_right_after_an_answer_and_end_later(
    api: Api, clients: Any, cut: int
) -> None:
    post = HEAD + b"Content-Length: 2\r\n\r\n{}"
    client = clients(post)
    for _ in range(20):
        assert _answer(client) == b"422"
        client.sendall(post[:cut])
        time.sleep(0.01)
        client.sendall(post[cut:])
    assert _answer(client) == b"422"


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
def test_a_stream_that_fails_midway_does_not_end_as_if_it_were_whole(
    own_api: Api, stage: Any, clients: Any, version: bytes
) -> None:
    job = stage.post(task="echo", items=[1, 2], batches=2)["id"]
    stage.run(job, 0)
    stage.run(job, 1)
    stage.redis.lset(f"bp:job:{job}:1:blocks", 0, b"rubbish")
    ask = b"GET /v1/jobs/%s/values %s\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n"
    client = clients(ask % (job.encode(), version), server=own_api)
    with pytest.raises(ConnectionResetError):
        while client.recv(65536):
            pass
    own_api.process.terminate()
    assert "values cannot be read" in own_api.process.communicate(timeout=20)[1]


def test_many_clients_that_ask_again_at_once_are_all_answered(api: Api, clients: Any) -> None:
    ask = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    many = [clients(ask) for _ in range(100)]
    for _ in range(5):
        for client in many:
            assert _answer(client) == b"200"
            client.sendall(ask)


def test_a_client_may_ask_whether_its_body_is_wanted(api: Api, stage: Any, clients: Any) -> None:
    expect = HEAD + b"Expect: 100-continue\r\nConnection: close\r\n"
    client = clients(expect + b"Content-Length: 25\r\n\r\n")
    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.sendall(b'{"task":"echo","count":1}')
    assert _read_all(client).startswith(b"HTTP/1.1 202 ")
    too_long = clients(expect + b"Content-Length: 99999999999\r\n\r\n")
    assert _read_all(too_long).startswith(b"HTTP/1.1 413 ")


def test_large_bodies_that_arrive_together_have_a_bound(start_api: Any, stage: Any) -> None:
    api = start_api(environ={"BATCHPOOL_MAX_BODY_BYTES": str(1 << 20)})
    head = HEAD + b"Content-Length: 1000000\r\n\r\n"
    with ExitStack() as opened:
        clients = [
            opened.enter_context(socket.create_connection((api.host, api.port), timeout=10))
            for _ in range(3)
        ]
        for client in clients:
            client.sendall(head + b" " * 900_000)
        # Whichever's bytes came last.
        (refused, *_), _, _ = select.select(clients, [], [], 30)
        found = refused.recv(4096)
        assert found.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After" in found
        # What is small is taken in all the same.
        assert api.ask("POST", "/v1/jobs", {"task": "echo", "count": 1})[0] == 202

"""Malformed requests: a 400 of the API, and nothing in its log."""

import json
import socket
from typing import Any

import pytest

from tests.integration.api_process import Api

BODY = b'{"task":"echo","count":1}'
HEAD = b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
WHOLE = b"19\r\n" + BODY + b"\r\n0\r\n"

CHUNKS = {
    "a size that is no number": b"zz\r\nabc\r\n0\r\n\r\n",
    "no size": b"\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a negative size": b"-1\r\nabc\r\n",
    "a signed size": b"+19\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a size with 0x": b"0x19\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a size with an underscore": b"1_9\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk without its end": b"19\r\n" + BODY + b"XX0\r\n\r\n",
    "a chunk that is longer than its size": b"10\r\n" + BODY + b"\r\n0\r\n\r\n",
    "an endless size": b"1" * 100_000 + b"\r\n",
    "an endless extension": b"19;" + b"a" * 300_000 + b"\r\n" + WHOLE[4:] + b"\r\n",
    "endless trailers": WHOLE + b"X: y\r\n" * 100_000 + b"\r\n",
    "a trailer that is none": WHOLE + b"no trailer\r\n\r\n",
    "cut in a size": b"1",
    "cut after a size": b"19\r\n",
    "cut in a chunk": b'19\r\n{"task"',
    "cut after a chunk": b"19\r\n" + BODY,
    "cut before the last chunk": b"19\r\n" + BODY + b"\r\n",
    "cut before the trailers": WHOLE,
}


def _send(api: Api, data: bytes) -> tuple[int, dict[str, str], Any]:
    """Send `data` and nothing more; status, headers and body of the first response."""
    with socket.create_connection((api.host, api.port), timeout=10) as client:
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # The server may refuse before it has read everything.
        response = client.makefile("rb").read()
    head, _, body = response.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    return int(status.split()[1]), headers, body


def _check_problem(answer: tuple[int, dict[str, str], Any], status: int) -> None:
    assert answer[0] == status
    assert answer[1]["content-type"] == "application/problem+json"
    assert json.loads(answer[2])["status"] == status


@pytest.mark.parametrize("kind", CHUNKS)
def test_a_malformed_chunked_body_is_400(api: Api, stage: Any, kind: str) -> None:
    _check_problem(_send(api, CHUNKED + CHUNKS[kind]), 400)
    assert stage.get("/v1/jobs")["jobs"] == []
    api.end()


@pytest.mark.parametrize("sent", [b"", BODY[:9], BODY], ids=["nothing", "a part", "all but spaces"])
def test_a_body_that_is_shorter_than_its_length_is_400(api: Api, stage: Any, sent: bytes) -> None:
    _check_problem(_send(api, HEAD + b"Content-Length: 100\r\n\r\n" + sent), 400)
    assert stage.get("/v1/jobs")["jobs"] == []
    api.end()

"""Malformed requests: a 400 of the API, and nothing in its log."""

import json
import socket
from typing import Any

import pytest

from tests.integration.api_process import Api

BODY = b'{"task":"echo","count":1}'
HEAD = b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
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
    "a long extension": b"19;" + b"a" * 9000 + b"\r\n" + WHOLE[4:] + b"\r\n",
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


@pytest.mark.parametrize("sent", [b"", BODY[:9], BODY], ids=["nothing", "a part", "all but spaces"])
def test_a_body_that_is_shorter_than_its_length_is_400(api: Api, stage: Any, sent: bytes) -> None:
    _check_problem(_send(api, HEAD + b"Content-Length: 100\r\n\r\n" + sent), 400)
    assert stage.get("/v1/jobs")["jobs"] == []


@pytest.mark.parametrize("kind", ["a size that is no number", "cut in a chunk", "endless trailers"])
@pytest.mark.parametrize(
    "path", [b"GET /healthz", b"POST /v1/jobs/0123456789abcdef01234567/cancel"]
)
def test_a_malformed_body_that_nobody_reads_is_no_error(
    api: Api, stage: Any, path: bytes, kind: str
) -> None:
    answer = _send(api, CHUNKED.replace(b"POST /v1/jobs", path) + CHUNKS[kind])
    assert answer[0] in (200, 400, 404)


REFUSED_HEADS = {
    "no request line": (b"\r\n\r\n", 400),
    "a malformed request line": (b"GET\r\n\r\n", 400),
    "a method in lower case": (b"get / HTTP/1.1\r\n\r\n", 400),
    "another version": (b"GET / HTTP/3.0\r\n\r\n", 400),
    "a bare LF": (b"GET /healthz HTTP/1.1\nHost: localhost\n\n", 400),
    "a header without a name": (b"GET / HTTP/1.1\r\n: x\r\n\r\n", 400),
    "a blank before the colon": (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
    "a folded header": (b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "two lengths": (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 400),
    "a negative length": (HEAD + b"Content-Length: -1\r\n\r\n{}", 400),
    "a length of another script": (HEAD + "Content-Length: ٢\r\n\r\n{}".encode(), 400),
    "a length and chunks": (CHUNKED[:-2] + b"Content-Length: 25\r\n\r\n" + WHOLE + b"\r\n", 400),
    "chunks twice": (HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + WHOLE, 400),
    "a coding without chunks": (HEAD + b"Transfer-Encoding: gzip\r\n\r\n" + BODY, 400),
    "chunks in HTTP/1.0": (CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + WHOLE + b"\r\n", 400),
    "an unknown coding": (HEAD + b"Transfer-Encoding: zip\r\n\r\n" + BODY, 501),
    "an unknown expectation": (HEAD + b"Expect: 200-ok\r\nContent-Length: 25\r\n\r\n" + BODY, 417),
    "a long request line": (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", 414),
    "an endless request line": (b"GET /" + b"a" * 200_000, 414),
    "a long header": (b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
    "an endless header": (b"GET / HTTP/1.1\r\nX: " + b"a" * 200_000, 431),
    "many headers": (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 200 + b"\r\n", 431),
    "endless headers": (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 50_000, 431),
    "a head that is cut off": (b"GET /healthz HTTP/1.1\r\nHost: loc", 400),
    "a body over the limit": (HEAD + b"Content-Length: 99999999999\r\n\r\n{}", 413),
    "rubbish": (bytes(range(256)) * 4, 400),
    "a TLS handshake": (bytes.fromhex("16030100f1010000ed0303") + bytes(200), 400),
}


@pytest.mark.parametrize("kind", REFUSED_HEADS)
def test_what_is_no_request_is_refused_with_a_problem(api: Api, kind: str) -> None:
    data, status = REFUSED_HEADS[kind]
    _check_problem(_send(api, data), status)
    assert api.ask("GET", "/healthz")[0] == 200


@pytest.mark.parametrize(
    "header", [b"SCRIPT_NAME: /x", b"SCRIPT-NAME: /x", b"PATH_INFO: /nope", b"REMOTE_ADDR: 1.1.1.1"]
)
def test_a_header_named_like_a_wsgi_variable_changes_nothing(api: Api, header: bytes) -> None:
    data = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n" % header
    assert _send(api, data)[0] == 200

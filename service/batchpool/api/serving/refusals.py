"""What the server refuses before the app sees a request, as problem+json like everything else."""

import json
from http import HTTPStatus

from gunicorn.http import errors  # type: ignore[import-untyped]

from batchpool.api.problems import Problem
from batchpool.api.serving.origins import SECURITY_HEADERS

_STATUS_OF = {
    errors.LimitRequestLine: (414, "the request line must be at most 4094 bytes"),
    errors.LimitRequestHeaders: (
        431,
        "headers must be at most 64 KiB, 8 KiB each, and at most 100",
    ),
    errors.ExpectationFailed: (417, "Expect must be 100-continue"),
    errors.UnsupportedTransferCoding: (501, "Transfer-Encoding must be chunked"),
}


def refusal_of(error: Exception) -> Problem:
    """The problem that stands for an exception of the HTTP parser."""
    status, detail = _STATUS_OF.get(type(error), (400, f"malformed HTTP: {error}"[:200]))
    return Problem(status, HTTPStatus(status).phrase, detail)


def response_bytes(problem: Problem, path: str = "") -> bytes:
    """The whole response, after which the connection is closed."""
    document = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": path,
    }
    body = json.dumps(document).encode()
    headers = {
        "Connection": "close",
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        **SECURITY_HEADERS,
        **problem.headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    phrase = HTTPStatus(problem.status).phrase
    return f"HTTP/1.1 {problem.status} {phrase}\r\n{lines}\r\n".encode() + body


def too_late() -> Problem:
    """The problem of a request that comes too slowly."""
    return Problem(
        408,
        "Request Timeout",
        "the request is too slow: its head must arrive within 10 s, its body at 4 KiB/s or more, "
        "and within an hour",
        headers={"Connection": "close"},
    )


ENDLESS_HEAD = response_bytes(refusal_of(errors.LimitRequestHeaders("")))
INCOMPLETE = response_bytes(Problem(400, "Bad Request", "the request is incomplete"))
TOO_LATE = response_bytes(too_late())
NO_ROOM = response_bytes(
    Problem(
        503,
        "Unavailable",
        "too many large bodies are being received; send the request again later",
        headers={"Retry-After": "5"},
    )
)

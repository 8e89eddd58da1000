"""What the server refuses before the app sees a request, as problem+json like everything else."""

import json
from http import HTTPStatus

from gunicorn.http import errors  # type: ignore[import-untyped]

from batchpool.api.problems import Problem
from batchpool.api.serving.origins import SECURITY_HEADERS

_STATUS_OF = {
    errors.LimitRequestLine: (414, "the request line is longer than 4094 bytes"),
    errors.LimitRequestHeaders: (431, "the headers are longer than 64 KiB, or more than 100"),
    errors.ExpectationFailed: (417, "only 100-continue can be expected"),
    errors.UnsupportedTransferCoding: (501, "the only Transfer-Encoding is chunked"),
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


ENDLESS_HEAD = response_bytes(refusal_of(errors.LimitRequestHeaders("")))
INCOMPLETE = response_bytes(Problem(400, "Bad Request", "the request ends before its end"))
TOO_LATE = response_bytes(
    Problem(
        408,
        "Request Timeout",
        "the request came too slowly; allowed: 10 s for its head, 4 KiB/s for its body",
    )
)
NO_ROOM = response_bytes(
    Problem(
        503,
        "Unavailable",
        "too many large bodies are being received; send it again later",
        headers={"Retry-After": "5"},
    )
)

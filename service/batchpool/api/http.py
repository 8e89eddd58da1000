"""JSON and problem responses, content negotiation, query strings, ids and links."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from batchpool.api.problems import NotFound, Problem
from batchpool.json_value import JsonObject
from batchpool.schemas.reading import RequestT, read_model
from batchpool.schemas.refusals import invalid_field

JSON = "application/json"
PROBLEM = "application/problem+json"
_ID = re.compile(r"[0-9a-f]{24}")

# One encoder: json.dumps with options of its own would build one for each call.
encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def json_response(
    body: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON response."""
    return Response(encode(body), status, headers=dict(headers or {}), content_type=JSON)


def problem_document(problem: Problem) -> JsonObject:
    """A problem of the current request, by RFC 9457."""
    body: JsonObject = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": request.path,
    }
    if problem.errors:
        body["errors"] = [error._asdict() for error in problem.errors]
    return body


def problem_response(problem: Problem) -> Response:
    """The response of a problem."""
    headers = dict(problem.headers) | {"Cache-Control": "no-store"}
    text = encode(problem_document(problem))
    return Response(text, problem.status, headers=headers, content_type=PROBLEM)


def read_query(model: type[RequestT]) -> RequestT:
    """The query string as a `model`.

    Raises:
        Refusal: a parameter is wrong, or given twice.
    """
    twice = [name for name, values in request.args.lists() if len(values) > 1]
    if twice:
        raise invalid_field(twice[0][:80], "must be given once")
    return read_model(model, request.args.to_dict())


def negotiate(offered: Iterable[str] = (JSON,)) -> str:
    """The media type to answer with: the best of `offered` by the Accept header.

    Raises:
        Problem: 406, names the offered ones.
    """
    types = list(offered)
    if not request.accept_mimetypes:
        return types[0]
    best = request.accept_mimetypes.best_match(types)
    if best is None:
        raise Problem(406, "Not acceptable", f"offered media types: {', '.join(types)}")
    return best


def is_id(text: str) -> bool:
    """Whether a text has the form of a generated id; keys are built from it."""
    return _ID.fullmatch(text) is not None


def check_comparison_id(comparison_id: str) -> str:
    """The id, if it has the form of one.

    Raises:
        NotFound: no comparison has such an id.
    """
    if not is_id(comparison_id):
        raise no_such_comparison(comparison_id)
    return comparison_id


def no_such_comparison(comparison_id: str) -> NotFound:
    name = f"no comparison {comparison_id[:80]!r}"
    return NotFound(f"{name}: never submitted, deleted, or expired")


def check_job_id(job_id: str) -> str:
    """The id, if it has the form of one.

    Raises:
        NotFound: no job has such an id.
    """
    if not is_id(job_id):
        raise no_such_job(job_id)
    return job_id


def no_such_job(job_id: str) -> NotFound:
    return NotFound(f"no job {job_id[:80]!r}: never submitted, deleted, or expired")


def next_link(cursor: str | int) -> str:
    """The value of a Link header (RFC 8288) to the next page."""
    arguments = {**request.args.to_dict(), "cursor": str(cursor)}
    return f'<{request.path}?{urlencode(arguments)}>; rel="next"'

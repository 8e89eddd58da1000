"""/v1/jobs/{id}/records and /v1/jobs/{id}/trace."""

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from flask import Blueprint, Response

from batchpool.api.context import service
from batchpool.api.http import (
    JSON,
    check_job_id,
    encode,
    negotiate,
    next_link,
    no_such_job,
    read_query,
)
from batchpool.api.problems import Unavailable, field_problem
from batchpool.jobs.csv_cell import csv_cell
from batchpool.jobs.trace import trace_events
from batchpool.ledger.entries import JobEntry
from batchpool.schemas.job_requests import NoQuery, RecordsQuery

blueprint = Blueprint("records", __name__, url_prefix="/v1/jobs")

NDJSON = "application/x-ndjson"
CSV = "text/csv"
PAGE = 100
SMALL_PAGE = 1000
"""A larger page counts as a download."""

MOST_ON_A_PAGE = 10_000
LINES = 500
"""Records in one piece of a stream."""

CSV_COLUMNS = (
    "index",
    "state",
    "value",
    "error_type",
    "error_message",
    "batch",
    "epoch",
    "attempt",
    "worker",
    "host",
    "pid",
    "ppid",
    "thread_id",
    "thread_name",
    "interpreter",
    "started_at",
    "offset_s",
    "wall_s",
    "cpu_s",
    "sum_seen",
    "item",
)


@blueprint.get("/<job_id>/records")
def get_records(job_id: str) -> Response:
    media_type = negotiate((JSON, NDJSON, CSV))
    query = read_query(RecordsQuery)
    job = _load(job_id)
    if media_type == JSON:
        return _page(job, query)
    records = service().records.stream(job, query.cursor, query.states)
    pieces = _csv if media_type == CSV else _ndjson
    return _streamed(pieces(islice(records, query.limit)), media_type)


@blueprint.get("/<job_id>/trace")
def get_trace(job_id: str) -> Response:
    negotiate()
    read_query(NoQuery)
    job = _load(job_id)
    return _streamed(_trace(job, service().records.stream(job)), JSON)


def _load(job_id: str) -> JobEntry:
    job = service().jobs.load(check_job_id(job_id))
    if job is None:
        raise no_such_job(job_id)
    return job


def _page(job: JobEntry, query: RecordsQuery) -> Response:
    limit = query.limit or PAGE
    if limit > MOST_ON_A_PAGE:
        streams = f"{NDJSON} and {CSV} have no limit"
        raise field_problem(
            "limit", f"must be at most {MOST_ON_A_PAGE} as JSON, got {limit}; {streams}"
        )
    if limit <= SMALL_PAGE:
        return _made_page(job, query, limit)
    with service().downloads.acquired() as has_place:
        if not has_place:
            raise _too_many_downloads()
        return _made_page(job, query, limit)


def _made_page(job: JobEntry, query: RecordsQuery, limit: int) -> Response:
    records, cursor = service().records.page(job, query.cursor, limit, query.states)
    following = None if cursor is None else str(cursor)
    # One by one: encoding all of a large page in one call would keep other threads waiting.
    rows = ",".join(map(encode, records))
    response = Response(f'{{"records":[{rows}],"next":{encode(following)}}}', content_type=JSON)
    if following:
        response.headers["Link"] = next_link(following)
    return response


def _too_many_downloads() -> Unavailable:
    most = service().settings.max_downloads
    return Unavailable(f"all {most} downloads are in use; try again later", 5)


def _streamed(pieces: Iterator[str], media_type: str) -> Response:
    context = service()
    if not context.downloads.acquire():
        raise _too_many_downloads()
    try:
        # The first piece is made before the status is sent: Redis being away is still a 503 then.
        first = next(pieces, "")
    except BaseException:
        context.downloads.release()
        raise

    def whole() -> Iterator[str]:
        yield first
        yield from pieces

    response = Response(whole(), content_type=f"{media_type}; charset=utf-8")
    response.call_on_close(context.downloads.release)
    return response


def _ndjson(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    for some in _chunks(records):
        yield "".join(encode(record) + "\n" for record in some)


def _csv(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield ",".join(CSV_COLUMNS) + "\r\n"
    for some in _chunks(records):
        text = io.StringIO()
        csv.writer(text).writerows(map(csv_cell, _csv_row(record)) for record in some)
        yield text.getvalue()


def _csv_row(record: dict[str, Any]) -> list[Any]:
    error = record["error"] or {}
    row = record | {
        "error_type": error.get("type"),
        "error_message": error.get("message"),
        "item": encode(record["item"]),
        "value": encode(record["value"]) if record["state"] == "succeeded" else None,
    }
    return [row[column] for column in CSV_COLUMNS]


def _trace(job: JobEntry, records: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield f'{{"displayTimeUnit":"ms","otherData":{encode({"job": job.id})},"traceEvents":[\n'
    separator = ""
    for some in _chunks(trace_events(job, records)):
        yield separator + ",\n".join(encode(event) for event in some)
        separator = ",\n"
    yield "]}\n"


def _chunks(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    rest = iter(rows)
    while some := list(islice(rest, LINES)):
        yield some

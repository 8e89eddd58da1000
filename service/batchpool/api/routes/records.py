"""/v1/jobs/{id}/records, /v1/jobs/{id}/errors and /v1/jobs/{id}/trace."""

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from flask import Blueprint, Response

from batchpool.api.context import service
from batchpool.api.http import (
    JSON,
    check_job_id,
    encode,
    json_response,
    negotiate,
    next_link,
    no_such_job,
    read_query,
)
from batchpool.api.problems import TooManyDownloads, field_problem
from batchpool.jobs.csv_cell import csv_cell
from batchpool.jobs.failures import FAILURES, MOST_READ, show_failures
from batchpool.jobs.trace import trace_events
from batchpool.ledger.records import RECORD_FIELDS, RecordDocument
from batchpool.ledger.values.job_entries import JobEntry
from batchpool.schemas.job_requests import NoQuery
from batchpool.schemas.record_requests import RecordsQuery

Row = TypeVar("Row")

blueprint = Blueprint("records", __name__, url_prefix="/v1/jobs")

NDJSON = "application/x-ndjson"
CSV = "text/csv"
PAGE = 100
SMALL_PAGE = 1000
"""A larger page counts as a download."""

MOST_ON_A_PAGE = 10_000
LINES = 500
"""Records in one chunk of a stream."""

CSV_COLUMNS = (
    *(
        column
        for field in RECORD_FIELDS
        if field not in ("item", "tries")
        for column in (("error_type", "error_message") if field == "error" else (field,))
    ),
    "item",
)


@blueprint.get("/<job_id>/records")
def get_records(job_id: str) -> Response:
    media_type = negotiate((JSON, NDJSON, CSV))
    query = read_query(RecordsQuery)
    job = _load(job_id)
    if media_type == JSON:
        return _page(job, query)
    return stream_records(job, query, media_type)


def stream_records(job: JobEntry, query: RecordsQuery, media_type: str) -> Response:
    """Records as NDJSON or CSV, in bounded memory.

    Raises:
        Unavailable: all downloads are in use.
    """
    records = service().records.stream(job, query.cursor, query.states)
    encode_rows = _csv if media_type == CSV else _ndjson
    return stream_text(encode_rows(islice(records, query.limit)), media_type)


@blueprint.get("/<job_id>/trace")
def get_trace(job_id: str) -> Response:
    negotiate()
    read_query(NoQuery)
    job = _load(job_id)
    return stream_text(_trace(job, service().records.stream(job)), JSON)


@blueprint.get("/<job_id>/errors")
def get_errors(job_id: str) -> Response:
    negotiate()
    read_query(NoQuery)
    job = _load(job_id)
    total = sum(batch.tally.counts.get(state, 0) for batch in job.batches for state in FAILURES)
    with service().downloads.acquired(total > SMALL_PAGE) as has_place:
        if total > SMALL_PAGE and not has_place:
            raise TooManyDownloads(service().settings.max_downloads)
        records = islice(service().records.ran(job, FAILURES), MOST_READ) if total else ()
        return json_response(show_failures(records, total))


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
            raise TooManyDownloads(service().settings.max_downloads)
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


def stream_text(chunks: Iterator[str], media_type: str) -> Response:
    """Text as it is made; it counts as a download until its end.

    Raises:
        TooManyDownloads: all of them are in use.
    """
    context = service()
    if not context.downloads.acquire():
        raise TooManyDownloads(service().settings.max_downloads)
    try:
        # The first chunk is made before the status is sent: an outage of Redis is still a 503 then.
        first = next(chunks, "")
    except BaseException:
        context.downloads.release()
        raise

    def whole() -> Iterator[str]:
        yield first
        yield from chunks

    response = Response(whole(), content_type=f"{media_type}; charset=utf-8")
    response.call_on_close(context.downloads.release)
    return response


def _ndjson(records: Iterable[RecordDocument]) -> Iterator[str]:
    for chunk in _chunks(records):
        yield "".join(encode(record) + "\n" for record in chunk)


def _csv(records: Iterable[RecordDocument]) -> Iterator[str]:
    yield ",".join(CSV_COLUMNS) + "\r\n"
    for chunk in _chunks(records):
        text = io.StringIO()
        csv.writer(text).writerows(map(csv_cell, _csv_row(record)) for record in chunk)
        yield text.getvalue()


def _csv_row(record: RecordDocument) -> list[Any]:
    error = record["error"]
    row = {
        **record,
        "error_type": error["type"] if error else None,
        "error_message": error["message"] if error else None,
        "item": encode(record["item"]),
        "value": encode(record["value"]) if record["state"] == "succeeded" else None,
    }
    return [row[column] for column in CSV_COLUMNS]


def _trace(job: JobEntry, records: Iterable[RecordDocument]) -> Iterator[str]:
    yield f'{{"displayTimeUnit":"ms","otherData":{encode({"job": job.id})},"traceEvents":[\n'
    separator = ""
    for chunk in _chunks(trace_events(job, records)):
        yield separator + ",\n".join(encode(event) for event in chunk)
        separator = ",\n"
    yield "]}\n"


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    rest = iter(rows)
    while chunk := list(islice(rest, LINES)):
        yield chunk

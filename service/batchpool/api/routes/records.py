"""/v1/jobs/{id}/records, /v1/jobs/{id}/errors and /v1/jobs/{id}/trace."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeVar, cast

from flask import Blueprint, Response

from batchpool.api.context import service
from batchpool.api.event_stream import live_response
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
from batchpool.api.record_stream import RecordStream
from batchpool.jobs.csv_cell import csv_cell
from batchpool.jobs.failures import FAILURES, MOST_READ, show_failures
from batchpool.jobs.records_cursor import decode_cursor
from batchpool.jobs.trace import trace_events
from batchpool.ledger.blocks.record_fields import RECORD_FIELDS, RecordDocument
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

CSV_FIELDS = (*(field for field in RECORD_FIELDS if field not in ("item", "tries", "log")), "item")


@blueprint.get("/<job_id>/records")
def get_records(job_id: str) -> Response:
    query = read_query(RecordsQuery)
    if query.follow == "1":
        return _follow(job_id, query)
    if query.after is not None:
        raise field_problem("after", "can only be given with follow=1")
    media_type = negotiate((JSON, NDJSON, CSV))
    job = _load(job_id)
    if media_type == JSON:
        return _page(job, query)
    return stream_records(job, query, media_type)


def _follow(job_id: str, query: RecordsQuery) -> Response:
    negotiate((NDJSON,))
    for name in sorted(query.model_fields_set & {"cursor", "limit"}):
        raise field_problem(name, "cannot be given with follow=1, which sends all records")
    context = service()

    def begin() -> Iterator[str]:
        seen = context.jobs.load_snapshot(check_job_id(job_id))
        if seen is None:
            raise no_such_job(job_id)
        batches = seen.job.batches
        try:
            positions = decode_cursor(query.after, batches) if query.after else [0] * len(batches)
        except ValueError as error:
            raise field_problem("after", str(error)) from None
        return RecordStream(context, query, job_id, positions).lines(seen)

    return live_response(context, begin, NDJSON)


def stream_records(job: JobEntry, query: RecordsQuery, media_type: str) -> Response:
    """Records as NDJSON or CSV, in bounded memory.

    Raises:
        Unavailable: all downloads are in use.
    """
    fields = query.chosen
    records = service().records.stream(job, query.cursor, query.wanted)
    encode_rows = _csv if media_type == CSV else _ndjson
    return stream_text(encode_rows(islice(records, query.limit), fields), media_type)


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
    found = service().records.page(job, query.cursor, limit, query.wanted)
    records, cursor = _chosen(found[0], query.chosen), found[1]
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


def _chosen(
    records: Iterable[RecordDocument], fields: Sequence[str] | None
) -> Iterator[Mapping[str, object]]:
    """The records, each with these fields only."""
    for record in records:
        whole = cast(Mapping[str, object], record)
        yield {name: whole[name] for name in fields} if fields else whole


def _ndjson(
    records: Iterable[RecordDocument], fields: Sequence[str] | None = None
) -> Iterator[str]:
    for chunk in _chunks(_chosen(records, fields)):
        yield "".join(encode(record) + "\n" for record in chunk)


def _csv(records: Iterable[RecordDocument], fields: Sequence[str] | None = None) -> Iterator[str]:
    columns = [column for field in fields or CSV_FIELDS for column in _csv_columns(field)]
    head = ",".join(columns) + "\r\n"
    for chunk in _chunks(records):
        text = io.StringIO()
        rows = (map(csv_cell, _csv_row(record, fields or CSV_FIELDS)) for record in chunk)
        csv.writer(text).writerows(rows)
        # Not on its own: what keeps records from being read is said in the status then.
        yield head + text.getvalue()
        head = ""
    if head:
        yield head


def _csv_columns(field: str) -> tuple[str, ...]:
    return ("error_type", "error_message") if field == "error" else (field,)


def _csv_row(record: RecordDocument, fields: Sequence[str]) -> Iterator[object]:
    for field in fields:
        match field:
            case "error":
                error = record["error"]
                yield from (error["type"], error["message"]) if error else (None, None)
            case "item" | "tries":
                yield encode(record[field])
            case "value":
                yield encode(record["value"]) if record["state"] == "succeeded" else None
            case _:
                yield cast(Mapping[str, object], record)[field]


def _trace(job: JobEntry, records: Iterable[RecordDocument]) -> Iterator[str]:
    before = f'{{"displayTimeUnit":"ms","otherData":{encode({"job": job.id})},"traceEvents":[\n'
    for chunk in _chunks(trace_events(job, records)):
        yield before + ",\n".join(encode(event) for event in chunk)
        before = ",\n"
    yield "]}\n" if before == ",\n" else before + "]}\n"


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    rest = iter(rows)
    while chunk := list(islice(rest, LINES)):
        yield chunk

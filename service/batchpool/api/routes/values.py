"""/v1/jobs/{id}/values: what the tasks returned, by item index."""

from collections.abc import Iterable, Iterator
from json import loads
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
from batchpool.api.problems import Conflict
from batchpool.api.routes.records import NDJSON, stream_text
from batchpool.ledger.blocks.block_values import NO_VALUE
from batchpool.ledger.values.job_entries import JobEntry
from batchpool.schemas.record_requests import ValuesQuery

blueprint = Blueprint("values", __name__, url_prefix="/v1/jobs")


@blueprint.get("/<job_id>/values")
def get_values(job_id: str) -> Response:
    media_type = negotiate((JSON, NDJSON))
    query = read_query(ValuesQuery)
    job = service().jobs.load(check_job_id(job_id))
    if job is None:
        raise no_such_job(job_id)
    if query.missing == "fail":
        _check_whole(job)
    stop = job.spec.count if query.limit is None else query.cursor + query.limit
    windows = _present(service().values.windows(job, query.cursor, stop), query.missing)
    answer = stream_text(
        _as_lines(windows) if media_type == NDJSON else _as_list(windows), media_type
    )
    if stop < job.spec.count:
        answer.headers["Link"] = next_link(str(stop))
    return answer


def _check_whole(job: JobEntry) -> None:
    """Refuse a job of which not every item has a value.

    Raises:
        Conflict: it names their number, and the other choices.
    """
    found = sum(batch.tally.counts.get("succeeded", 0) for batch in job.batches)
    missing = job.spec.count - found
    if missing:
        raise Conflict(
            f"{missing} of {job.spec.count} items have no value; missing=null puts null in their "
            f"place, missing=skip leaves them out"
        )


def _present(windows: Iterable[list[Any] | str], missing: str) -> Iterator[str]:
    """Each window as the text of a list, with what stands for a missing value, or without it.

    Raises:
        Conflict: `missing` is `fail`, and a value that was counted cannot be read.
    """
    for values in windows:
        if isinstance(values, str):
            yield values
        elif missing == "null":
            yield encode([None if value is NO_VALUE else value for value in values])
        elif missing == "skip":
            yield encode([value for value in values if value is not NO_VALUE])
        elif any(value is NO_VALUE for value in values):
            raise Conflict("values cannot be read; GET /v1/broken names what is broken")
        else:
            yield encode(values)


def _as_list(lists: Iterable[str]) -> Iterator[str]:
    before = "["
    for text in lists:
        if text != "[]":
            yield before + text[1:-1]
            before = ","
    yield "[]" if before == "[" else "]"


def _as_lines(lists: Iterable[str]) -> Iterator[str]:
    for text in lists:
        # Between numbers and the like a comma can only be that of the list.
        if any(mark in text[1:] for mark in '"[{'):
            yield "".join(encode(value) + "\n" for value in loads(text))
        elif text != "[]":
            yield text[1:-1].replace(",", "\n") + "\n"

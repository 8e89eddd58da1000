"""Submit a job whose items are the body: they come first, and the job takes all of them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from batchpool.api.bodies.json_body import parse_json
from batchpool.api.context import ApiContext
from batchpool.api.problems import MalformedBody, Unavailable, field_problem
from batchpool.api.use_cases.idempotency import idempotency_key_of, is_used
from batchpool.api.use_cases.submit_job import (
    DryRun,
    SubmittedJob,
    job_limits,
    new_job_id,
    room_of,
    room_problems,
    store,
    try_to_store,
)
from batchpool.jobs.admission import admit
from batchpool.jobs.fleet import admit_with_fresh_fleet
from batchpool.jobs.items_digest import ItemsSummarizer
from batchpool.jobs.planning import JobPlan
from batchpool.ledger.blocks.item_upload import ItemUpload
from batchpool.ledger.job_creation import IdempotencyKey
from batchpool.ledger.values.job_entries import UploadedItems
from batchpool.ledger.values.job_spec import ItemsSummary
from batchpool.schemas.job_requests import ColumnType, CsvColumns, JobRequest
from batchpool.schemas.reading import read_model
from batchpool.schemas.refusals import invalid_field

ORDER_HEADER = "Batchpool-Job"


class UploadOrder(NamedTuple):
    """The job of the header, without its items, and the types of columns of CSV."""

    job: JobRequest
    columns: Mapping[str, ColumnType]


def read_order(header: str | None, is_csv: bool) -> UploadOrder:
    """The order of an upload.

    Raises:
        Problem: 400 or 422.
        InvalidFields: names the fields that are wrong.
    """
    if header is None:
        raise field_problem(
            ORDER_HEADER, "is required: the job as JSON, as in a body of JSON, without its items"
        )
    try:
        # As WSGI has it: each byte as a character.
        order = parse_json(header.encode("latin-1"))
    except MalformedBody as error:
        raise MalformedBody(f"{ORDER_HEADER}: {error.detail}") from None
    columns: Mapping[str, ColumnType] = {}
    if isinstance(order, dict):
        for name in {"items", "count"} & order.keys():
            raise invalid_field(name, f"must be left out of {ORDER_HEADER}: items are the body")
        if "columns" in order and not is_csv:
            raise invalid_field("columns", "only a body of CSV has columns")
        found = read_model(CsvColumns, {n: order[n] for n in order.keys() & {"columns"}})
        columns = found.columns
        # Which of the two it will be is known when the items have come.
        order = {n: order[n] for n in order if n != "columns"} | {"count": 1}
    return UploadOrder(read_model(JobRequest, order), columns)


def submit_upload(
    context: ApiContext, order: JobRequest, items: Iterator[list[Any]], dry_run: bool
) -> SubmittedJob | DryRun:
    """Take items in while they come, then store their job, as `submit`.

    Raises:
        Refusal, KeyReused, Problem: as `submit`, and what `items` raises; no item is left.
    """
    limits = job_limits(context.settings)
    # What can be known without the items is refused before they come.
    early = order.model_copy(update={"count": min(order.batches, limits.items)})
    admit_with_fresh_fleet(context.fleets, lambda fleet: admit(early, fleet, limits))
    with take_in(context, items, limits.items, dry_run) as taken:
        if not taken.items.count:
            raise invalid_field("items", "must have at least one item, got none")
        request = order.model_copy(update={"items": taken.items, "count": None})
        plan = admit_with_fresh_fleet(
            context.fleets, lambda fleet: admit(request, fleet, limits, taken.summary)
        )
        key = idempotency_key_of(context, request, taken.summary)
        if dry_run:
            return try_to_store(context, plan, taken.items, key)
        return store_taken(context, plan, taken, key)


class TakenItems(NamedTuple):
    """Items that came before the job with this id."""

    job_id: str
    items: UploadedItems
    summary: ItemsSummary


@contextmanager
def take_in(
    context: ApiContext, lists: Iterable[list[Any]], most: int, dry_run: bool = False
) -> Iterator[TakenItems]:
    """Take items in, in bounded memory; what no job has taken at the end is removed.

    Those of a dry run are not stored, nor those of a request whose Idempotency-Key was used: they
    are only compared with those of the first one.

    Raises:
        InvalidFields: there are more than `most`.
        Problem: 408, 429 or 507.
    """
    job_id, summarizer = new_job_id(), ItemsSummarizer()
    room = room_of(context.settings)
    upload = ItemUpload(context.slow_redis, job_id, room, dry_run or is_used(context))
    try:
        with room_problems():
            for items in lists:
                _add(items, upload, summarizer, most)
            found = upload.finish()
        yield TakenItems(job_id, found, summarizer.summary())
    finally:
        # Nothing is there any more if the job has taken them.
        upload.discard()


def store_taken(
    context: ApiContext, plan: JobPlan, taken: TakenItems, key: IdempotencyKey | None
) -> SubmittedJob:
    """Store the job of items that were taken in, or find the one of an earlier request."""
    if taken.items.key:
        return store(context, plan, taken.items, key, taken.job_id)
    tried = try_to_store(context, plan, taken.items, key)
    if tried.first_id is None:
        raise Unavailable("the Idempotency-Key has just expired; send the request again")
    return SubmittedJob(tried.first_id, None)


def _add(items: list[Any], upload: ItemUpload, summarizer: ItemsSummarizer, most: int) -> None:
    while items:
        taken = items[: upload.room_in_block]
        items = items[len(taken) :]
        if upload.count + len(taken) > most:
            raise invalid_field("items", f"must be at most {most} items, got more")
        upload.add(summarizer.add(taken), len(taken))

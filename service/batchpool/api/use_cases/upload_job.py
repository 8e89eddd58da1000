"""Submit a job whose items are the body: they come first, and the job takes all of them."""

from collections.abc import Iterator
from typing import Any

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
from batchpool.ledger.blocks.item_upload import ItemUpload
from batchpool.ledger.values.job_entries import UploadedItems
from batchpool.schemas.job_requests import JobRequest
from batchpool.schemas.reading import read_model
from batchpool.schemas.refusals import invalid_field

ORDER_HEADER = "Batchpool-Job"


def read_order(header: str | None) -> JobRequest:
    """The job of the header, without its items.

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
    if isinstance(order, dict):
        for name in {"items", "count"} & order.keys():
            raise invalid_field(name, f"must be left out of {ORDER_HEADER}: items are the body")
        # Which of the two it will be is known when the items have come.
        order = order | {"count": 1}
    return read_model(JobRequest, order)


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
    # Its items are compared with those of the first request, and not stored again.
    is_repeated = is_used(context)
    job_id = new_job_id()
    room = room_of(context.settings)
    upload = ItemUpload(context.slow_redis, job_id, room, dry_run or is_repeated)
    try:
        summarizer = ItemsSummarizer()
        with room_problems():
            uploaded = _take_in(items, upload, summarizer, limits.items)
        request = order.model_copy(update={"items": uploaded, "count": None})
        summary = summarizer.summary()
        plan = admit_with_fresh_fleet(
            context.fleets, lambda fleet: admit(request, fleet, limits, summary)
        )
        key = idempotency_key_of(context, request, summary)
        if not (dry_run or is_repeated):
            return store(context, plan, uploaded, key, job_id)
        tried = try_to_store(context, plan, uploaded, key)
        if dry_run:
            return tried
        if tried.first_id is None:
            raise Unavailable("the Idempotency-Key has just expired; send the request again")
        return SubmittedJob(tried.first_id, None)
    finally:
        # Nothing is there any more if the job has taken them.
        upload.discard()


def _take_in(
    lists: Iterator[list[Any]], upload: ItemUpload, summarizer: ItemsSummarizer, most: int
) -> UploadedItems:
    for items in lists:
        while items:
            taken = items[: upload.room_in_block]
            items = items[len(taken) :]
            if upload.count + len(taken) > most:
                raise invalid_field("items", f"must be at most {most} items, got more")
            upload.add(summarizer.add(taken), len(taken))
    if not upload.count:
        raise invalid_field("items", "must have at least one item, got none")
    return upload.finish()

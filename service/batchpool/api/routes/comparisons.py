"""/v1/comparisons: submit, list, read, follow, cancel and delete comparisons."""

from functools import partial

from flask import Blueprint, Response, request

from batchpool.api.bodies.json_body import parse_json, read_body
from batchpool.api.bodies.large_bodies import LARGE_BYTES
from batchpool.api.context import ApiContext, service
from batchpool.api.event_stream import EVENT_STREAM, EventSource, Snapshot, stream_events
from batchpool.api.http import (
    JSON,
    check_comparison_id,
    is_id,
    json_response,
    negotiate,
    next_link,
    no_such_comparison,
    read_query,
)
from batchpool.api.long_poll import HasEnd, wait_for_end
from batchpool.api.problems import Conflict
from batchpool.api.use_cases.show_comparison_plan import show_comparison_plan
from batchpool.api.use_cases.submit_comparison import (
    submit_comparison,
    try_to_submit_comparison,
)
from batchpool.comparisons.aggregation import (
    results_of,
    show_comparison,
    show_comparison_summary,
)
from batchpool.comparisons.analysis.exports import to_csv, to_hyperfine, to_markdown
from batchpool.comparisons.analysis.result_card import result_card
from batchpool.comparisons.listing import list_comparisons
from batchpool.comparisons.readability import show_readable
from batchpool.ledger import keys
from batchpool.ledger.comparisons import ComparisonSnapshot
from batchpool.model import TERMINAL_STATES
from batchpool.schemas.comparison_requests import (
    ComparisonQuery,
    ComparisonRequest,
    ComparisonsQuery,
)
from batchpool.schemas.comparison_responses import Comparison
from batchpool.schemas.job_requests import DryRunQuery, EventsQuery, NoQuery
from batchpool.schemas.reading import read_model

blueprint = Blueprint("comparisons", __name__, url_prefix="/v1/comparisons")

KINDS = ("run", "comparison", "end")
MARKDOWN = "text/markdown"
CSV = "text/csv"
MEDIA_TYPES = {JSON: "json", MARKDOWN: "markdown", CSV: "csv"}


@blueprint.post("")
def post_comparison() -> Response:
    negotiate()
    dry_run = read_query(DryRunQuery).dry_run
    context = service()
    body = read_body(request, context.settings.max_body_bytes)
    if context.large_bodies and len(body) > LARGE_BYTES:
        path = request.path + ("?dry_run=1" if dry_run else "")
        return context.large_bodies.post(path, request.headers, body)
    order = read_model(ComparisonRequest, parse_json(body))
    if dry_run:
        found = try_to_submit_comparison(context, order)
        return json_response(show_comparison_plan(context, found).model_dump())
    submitted = submit_comparison(context, order)
    location = {"Location": f"/v1/comparisons/{submitted.comparison_id}"}
    if submitted.snapshot is None:
        # A replay of a key whose comparison was deleted since: the same answer, without it.
        links = {"self": location["Location"]}
        return json_response({"id": submitted.comparison_id, "links": links}, 202, location)
    return json_response(_shown(submitted.snapshot).model_dump(), 202, location)


@blueprint.get("")
def get_comparisons() -> Response:
    negotiate()
    query = read_query(ComparisonsQuery)
    found, cursor = list_comparisons(service().comparisons, query)
    shown = show_readable(
        service().broken,
        "comparison",
        ((keys.comparison_key(each.entry.id), each) for each in found),
        lambda each: show_comparison_summary(each.entry, each.now_ms).model_dump(),
    )
    headers = {"Link": next_link(cursor)} if cursor else None
    return json_response({"comparisons": shown, "next": cursor}, headers=headers)


@blueprint.get("/<comparison_id>")
def get_comparison(comparison_id: str) -> Response:
    media_type = negotiate(MEDIA_TYPES)
    query = read_query(ComparisonQuery)
    context = service()
    check_comparison_id(comparison_id)
    wait_s = min(query.wait, context.settings.wait_cap_s)
    with context.waits.acquired(wait_s > 0) as may_wait:
        if may_wait:
            comparisons = context.comparisons
            awaited = HasEnd(
                partial(comparisons.state, comparison_id),
                partial(comparisons.has_ended, comparison_id),
            )
            wait_for_end(context, awaited, wait_s)
    snapshot = context.comparisons.load(comparison_id)
    if snapshot is None:
        raise no_such_comparison(comparison_id)
    is_early = wait_s > 0 and not may_wait and snapshot.entry.state not in TERMINAL_STATES
    headers = {"Retry-After": "1"} if is_early else {}
    return _in_format(query.format or MEDIA_TYPES[media_type], snapshot, headers)


def _in_format(name: str, snapshot: ComparisonSnapshot, headers: dict[str, str]) -> Response:
    if name == "json":
        return json_response(_shown(snapshot).model_dump(), headers=headers)
    results = results_of(snapshot.entry)
    if results is None:
        state = snapshot.entry.state
        raise Conflict(
            f"the comparison is {state} and has no results; only format=json is possible"
        )
    if name == "hyperfine":
        document = to_hyperfine(results).model_dump(exclude_unset=True)
        return json_response(document, headers=headers)
    if name == "card":
        return json_response(result_card(results).model_dump(), headers=headers)
    text, media_type = (to_csv(results), CSV) if name == "csv" else (to_markdown(results), MARKDOWN)
    return Response(text, headers=headers, content_type=f"{media_type}; charset=utf-8")


@blueprint.get("/<comparison_id>/events")
def get_comparison_events(comparison_id: str) -> Response:
    negotiate((EVENT_STREAM,))
    query = read_query(EventsQuery)
    context = service()
    source = EventSource(
        kinds=KINDS,
        load=partial(_load, context, comparison_id),
        oldest_id=partial(context.comparison_events.oldest_id, comparison_id),
        read=partial(context.comparison_events.read, comparison_id),
        missing=no_such_comparison(comparison_id),
    )
    return stream_events(context, source, query.last_event_id)


def _load(context: ApiContext, comparison_id: str) -> Snapshot | None:
    if not is_id(comparison_id):
        return None
    snapshot = context.comparisons.load(comparison_id, whole=False)
    if snapshot is None:
        return None
    entry, now_ms = snapshot.entry, snapshot.now_ms
    return Snapshot(
        snapshot.event,
        entry.state,
        lambda: show_comparison_summary(entry, now_ms).model_dump(),
    )


@blueprint.post("/<comparison_id>/cancel")
def cancel_comparison(comparison_id: str) -> Response:
    negotiate()
    read_query(NoQuery)
    context = service()
    outcome = context.comparisons.cancel(check_comparison_id(comparison_id))
    snapshot = context.comparisons.load(comparison_id)
    if outcome == "missing" or snapshot is None:
        raise no_such_comparison(comparison_id)
    if outcome == "terminal":
        state = snapshot.entry.state
        raise Conflict(
            f"the comparison has already ended ({state}); "
            "only queued or running comparisons can be cancelled"
        )
    return json_response(_shown(snapshot).model_dump(), 202)


@blueprint.delete("/<comparison_id>")
def delete_comparison(comparison_id: str) -> Response:
    read_query(NoQuery)
    context = service()
    snapshot = context.comparisons.load(check_comparison_id(comparison_id))
    if snapshot is None:
        raise no_such_comparison(comparison_id)
    if snapshot.entry.state not in TERMINAL_STATES:
        state = snapshot.entry.state
        raise Conflict(
            f"the comparison is {state}; only comparisons that have ended can be deleted"
        )
    # Its jobs first: if this is interrupted, the request can be repeated.
    for job_id in dict.fromkeys(_job_ids(snapshot)):
        context.jobs.delete(job_id)
    context.comparisons.delete(comparison_id)
    return Response(status=204)


def _job_ids(snapshot: ComparisonSnapshot) -> list[str]:
    under_way = [snapshot.entry.job_id] if snapshot.entry.job_id else []
    return [sample.job_id for sample in snapshot.entry.samples] + under_way


def _shown(snapshot: ComparisonSnapshot) -> Comparison:
    return show_comparison(snapshot.entry, snapshot.entry.finished_ms or snapshot.now_ms)

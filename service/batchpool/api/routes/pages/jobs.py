"""/jobs: the list with its filters, and actions on chosen jobs."""

import time
from collections.abc import Callable
from functools import partial

from flask import Blueprint, Response, request
from werkzeug.datastructures import MultiDict

from batchpool.api.context import ApiContext, service
from batchpool.api.http import is_id
from batchpool.api.page_response import page, see_other
from batchpool.api.problems import Problem, field_problem
from batchpool.api.routes.pages.job_summaries import load_summaries, summaries
from batchpool.api.use_cases.cancel_job import cancel_job
from batchpool.api.use_cases.delete_job import delete_job
from batchpool.api.use_cases.retry_job import retry_job
from batchpool.api.use_cases.retry_many import RETRIED_STATES, not_retried, retry_many
from batchpool.jobs.listing import list_jobs, matching_ids
from batchpool.jobs.open_jobs import load_open_jobs
from batchpool.ledger.values.job_entries import JobEntry
from batchpool.pages.jobs.listing import (
    ACTIONS,
    SPANS,
    Counts,
    build_confirmation,
    build_job_list,
)
from batchpool.schemas.job_requests import JobsFilter, JobsQuery
from batchpool.schemas.reading import read_model
from batchpool.timestamps import rfc3339

blueprint = Blueprint("jobs_page", __name__)

PAGE = 50
MOST_SCAN_S = 0.5
"""Seconds after which a list ends where it is, with a link to go on."""

MOST_CHOSEN = 10_000
"""Jobs that are cancelled, retried or deleted at once."""

MOST_AT_ONCE = 500
"""Jobs that are cancelled or deleted by a request itself; more are left to the reconciler."""

MOST_NAMED = 6
"""Jobs that are read to name some of them."""

_CARRY_OUT: dict[str, Callable[[ApiContext, str], object]] = {
    "cancel": cancel_job,
    "retry": retry_job,
    "delete": delete_job,
}
_ALLOWED = {
    "cancel": ("queued", "running"),
    "retry": RETRIED_STATES,
    "delete": ("succeeded", "failed", "cancelled"),
}


@blueprint.get("/jobs")
def get_jobs() -> Response:
    context, query = service(), _query()
    found, following = _list(context, query, PAGE)
    counted = load_open_jobs(context.redis, 0)
    view = build_job_list(
        summaries(context, found),
        following,
        query,
        Counts(counted.kept, counted.running, counted.queued),
        sorted({name for known in context.fleets.cached().classes for name in known.tasks}),
    )
    return page("job_list.html", "Jobs", view=view)


@blueprint.get("/jobs/confirm")
def get_confirmation() -> Response:
    """Ask before an action on the chosen jobs, or on those that match the filters."""
    context, action = service(), _action(request.args)
    back, has_more, by_match = request.args.get("back", ""), False, bool(request.args.get("match"))
    if by_match:
        model = read_model(JobsFilter, _filter(context, _query()))
        keep = partial(not_retried, context) if action == "retry" else list
        ids, has_more = matching_ids(context.jobs, model, _ALLOWED[action], MOST_CHOSEN, keep)
        named = load_summaries(context, ids[:MOST_NAMED])
    else:
        chosen = load_summaries(context, _ids(request.args))
        named = [job for job in chosen if job.state in _ALLOWED[action]]
        ids = [job.id for job in named]
    if not named:
        raise Problem(409, "Nothing to do", f"none of the chosen jobs can be {ACTIONS[action]}")
    if not (back.startswith("/jobs") and back.isascii()):
        back = "/jobs"
    view = build_confirmation(action, ids, named, by_match, has_more, back)
    return page("confirm.html", "Jobs", view=view)


@blueprint.post("/jobs/actions")
def post_action() -> Response:
    """Carry an action out; jobs whose state has changed since it was asked for are left alone."""
    context, action = service(), _action(request.form)
    ids = _ids(request.form)
    if action == "retry" and request.form.get("match"):
        done = retry_many(context, ids)
        left = len(ids) - done.taken - done.refused if done.is_cut else 0
        return _done(action, done.taken, done.refused, left)
    if action == "retry" and len(ids) == 1:
        return see_other(f"/jobs/{retry_job(context, ids[0]).job_id}")
    if action != "retry" and len(ids) > MOST_AT_ONCE:
        context.jobs.ask("cancel" if action == "cancel" else "delete", ids)
        return _done(action, 0, 0, 0, later=len(ids))
    refused = 0
    for job_id in ids:
        try:
            _CARRY_OUT[action](context, job_id)
        except Problem as problem:
            if problem.status not in (404, 409):
                raise
            refused += 1
    if action == "cancel" and len(ids) == 1 and not refused:
        return see_other(f"/jobs/{ids[0]}")
    return _done(action, len(ids) - refused, refused)


def _done(action: str, count: int, refused: int, left: int = 0, later: int = 0) -> Response:
    """Back to the list, which says what was done."""
    said = {"done": action, "count": count, "refused": refused, "left": left, "later": later}
    return see_other("/jobs?" + "&".join(f"{name}={value}" for name, value in said.items()))


def _query() -> dict[str, str]:
    """The parameters that say something; a label may be written `name: text`."""
    given = {name: value.strip() for name, value in request.args.items() if value.strip()}
    label = given.get("label", "")
    if label and "=" not in label:
        name, colon, text = label.partition(":")
        given["label"] = f"{name.strip()}={text.strip()}" if colon else label
    return given


def _list(
    context: ApiContext, query: dict[str, str], limit: int
) -> tuple[list[JobEntry], str | None]:
    """Jobs that match, and the cursor to go on from; some thousand are looked at in a call."""
    asked = _filter(context, query)
    asked |= {"cursor": query["cursor"]} if "cursor" in query else {}
    found: list[JobEntry] = []
    until = time.monotonic() + MOST_SCAN_S
    while True:
        model = read_model(JobsQuery, {**asked, "limit": str(limit - len(found))})
        more, following = list_jobs(context.jobs, model)
        found += more
        if following is None or len(found) == limit or time.monotonic() > until:
            return found, following
        asked["cursor"] = following


def _filter(context: ApiContext, query: dict[str, str]) -> dict[str, str]:
    """The filters of a query as the API takes them."""
    names = ("state", "task", "label")
    asked: dict[str, str] = {name: query[name] for name in names if name in query}
    span = query.get("since", "")
    if span not in SPANS:
        raise field_problem("since", f"must be one of {', '.join(filter(None, SPANS))}")
    if span:
        asked["submitted_after"] = rfc3339(context.jobs.now_ms() - 1000 * SPANS[span][1])
    return asked


def _action(given: object) -> str:
    action = given.get("action", "") if hasattr(given, "get") else ""
    if action not in ACTIONS:
        raise field_problem("action", f"must be one of {', '.join(ACTIONS)}")
    return str(action)


def _ids(given: "MultiDict[str, str]") -> list[str]:
    chosen = [*given.getlist("id"), *given.get("ids", "").split()]
    ids = [each for each in dict.fromkeys(chosen) if is_id(each)]
    if not ids:
        raise field_problem("id", "choose at least one job")
    if len(ids) > MOST_CHOSEN:
        raise field_problem("id", f"at most {MOST_CHOSEN} jobs at once, got {len(ids)}")
    return ids

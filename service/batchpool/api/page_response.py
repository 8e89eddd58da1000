"""HTML responses: frame, fragments, ETags, and the policy of what a page may load."""

from hashlib import sha256

from flask import Response, request
from redis.exceptions import RedisError

from batchpool.api.context import service
from batchpool.api.problems import NotFound, Problem
from batchpool.api.readiness import check
from batchpool.pages.errors import build_error
from batchpool.pages.frame import Frame, Live, footer_facts
from batchpool.pages.rendering import render, render_fragments
from batchpool.version import __version__

HTML = "text/html; charset=utf-8"
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; object-src 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    # `no-referrer` would make a browser send `Origin: null` with a form, which is refused.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def page(template: str, current: str, *, live: Live | None = None, **view: object) -> Response:
    """A page, or with `?fragment=a,b` these blocks of it; 304 if the reader has it already.

    Args:
        current: the section of the navigation.
        view: what the template shows.
    Raises:
        NotFound: the page has no such fragment.
    """
    names = request.args.get("fragment")
    if names is None:
        return _conditional(render(template, frame=_frame(current, live), **view))
    try:
        return _conditional(render_fragments(template, names.split(","), **view))
    except KeyError as error:
        raise NotFound(f"no fragment {str(error)[:80]} on this page") from error


def see_other(path: str) -> Response:
    """The answer to a form that did something: the page that shows it."""
    return Response(status=303, headers={"Location": path})


def error_page(problem: Problem) -> Response:
    """The page of a problem."""
    path = request.full_path.rstrip("?") if request.method == "GET" else ""
    # Two slashes would begin the name of another host.
    path = "" if path.startswith("//") else path
    view = build_error(problem.status, problem.title, problem.detail, path)
    # No facts of the service: the reader may be a page of another origin.
    text = render("error.html", frame=Frame(""), view=view)
    headers = {**PAGE_HEADERS, **problem.headers, "Cache-Control": "no-store"}
    return Response(text, problem.status, headers=headers, content_type=HTML)


def _conditional(text: str) -> Response:
    response = Response(text, headers=PAGE_HEADERS, content_type=HTML)
    response.set_etag(sha256(text.encode()).hexdigest()[:32])
    response.headers["Vary"] = "Accept"
    response.make_conditional(request)
    return response


def _frame(current: str, live: Live | None) -> Frame:
    context = service()
    try:
        workers = context.fleets.cached().workers
        durability = check(context.redis).durability
    except RedisError:
        return Frame(current, (f"batchpool {__version__}",), live)
    return Frame(current, footer_facts(__version__, workers, durability), live)

"""The Flask app: its routes, and the handlers that turn every error into a problem."""

import logging
import sys

from flask import Flask, Response, request
from redis import Redis
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError
from werkzeug.exceptions import HTTPException

from batchpool.api.bodies.large_bodies import LargeBodies, too_much_memory
from batchpool.api.context import EXTENSION, ApiContext, service
from batchpool.api.http import is_id, problem_response
from batchpool.api.page_response import error_page
from batchpool.api.problems import Conflict, Problem, StorageFull, Unavailable, problem_of
from batchpool.api.routes import BLUEPRINTS
from batchpool.api.routes.pages import PAGES
from batchpool.api.serving.origins import SECURITY_HEADERS, check_host, check_origin
from batchpool.api.serving.thread_limits import ThreadLimits
from batchpool.api.settings import ApiSettings
from batchpool.ledger.broken import is_about_data
from batchpool.ledger.connection import TemporarilyRefused
from batchpool.ledger.job_creation import KeyBroken, KeyReused
from batchpool.ledger.keys import job_key
from batchpool.schemas.refusals import Refusal

LOG = logging.getLogger("batchpool.api")

PAGE_NAMES = frozenset(each.name for each in PAGES)

MOST_SUM_DIGITS = 5000
"""A million numbers of 4300 digits, the longest that are taken, add up to 4306."""


def create_app(
    settings: ApiSettings,
    redis: Redis,
    slow_redis: Redis | None = None,
    large_bodies: LargeBodies | None = None,
    limits: ThreadLimits | None = None,
) -> Flask:
    """The API over one Redis.

    Args:
        redis: a client with the time-out `settings.redis_timeout_s`.
        slow_redis: the same Redis with `settings.submit_timeout_s`; default: `redis`.
        large_bodies: where large bodies are handled; default: in this process.
        limits: shared with the other processes of the server; default: of this process.
    """
    # A sum is written in full, and Python refuses to write an int of more digits than it reads.
    sys.set_int_max_str_digits(max(MOST_SUM_DIGITS, sys.get_int_max_str_digits()))
    app = Flask("batchpool.api", static_folder=None)
    app.extensions[EXTENSION] = ApiContext.over(
        settings, redis, slow_redis or redis, large_bodies, limits
    )
    app.url_map.strict_slashes = True
    # An id that is missing in a path must not make it another path.
    app.url_map.merge_slashes = False
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    app.before_request(_check_sender)
    app.after_request(_secure)
    app.register_error_handler(Problem, _problem)
    app.register_error_handler(Refusal, _refused)
    app.register_error_handler(KeyReused, _key_reused)
    app.register_error_handler(KeyBroken, _key_broken)
    app.register_error_handler(HTTPException, _http_problem)
    app.register_error_handler(RedisError, _redis_problem)
    app.register_error_handler(MemoryError, _no_memory)
    app.register_error_handler(Exception, _unexpected)
    return app


def _check_sender() -> None:
    host = request.headers.get("Host", "")
    if not host and request.environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
        return  # Before HTTP/1.1 there was none, and no browser that could be misled.
    check_host(host, service().settings.allowed_host_names)
    check_origin(request.method, request.headers, host, request.scheme)


def _secure(response: Response) -> Response:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _problem(problem: Problem) -> Response:
    """A page for who reads pages, a problem document for everybody else."""
    return error_page(problem) if _wants_page() else problem_response(problem)


def _wants_page() -> bool:
    is_page = request.blueprint in PAGE_NAMES or request.url_rule is None
    accepted = request.accept_mimetypes
    best = accepted.best_match(("application/json", "text/html")) if accepted else None
    return is_page and best == "text/html" and not request.path.startswith("/v1/")


def _refused(refusal: Refusal) -> Response:
    return _problem(problem_of(refusal))


def _key_reused(error: KeyReused) -> Response:
    return _problem(
        Conflict(
            "this Idempotency-Key was used with another body; send that body, or use a new key"
        )
    )


def _key_broken(error: KeyBroken) -> Response:
    # Not taken as unused: its order may be there, and would be run twice.
    broken = service().broken
    found = broken.note("key", error.name, b"", "it names no job", is_moved=True)
    return problem_response(
        Conflict(
            "what is stored for this Idempotency-Key cannot be read, so its order may exist: look "
            f"for it in the list, then use a new key, or DELETE /v1/broken/{found.id}"
        )
    )


def _http_problem(error: HTTPException) -> Response:
    if error.response is not None or error.code is None:
        return _problem(Problem(400, "Bad request", "the request could not be read"))
    kept = ("Allow", "Retry-After", "Location")
    headers = {name: value for name, value in error.get_headers() if name in kept}
    detail = error.description or error.name
    if error.code == 404:
        detail = f"unknown path {request.path[:80]!r}"
    elif "Allow" in headers:
        detail = f"allowed methods: {', '.join(sorted(headers['Allow'].split(', ')))}"
    return _problem(Problem(error.code, error.name, detail, headers=headers))


def _redis_problem(error: RedisError) -> Response:
    LOG.warning("Redis: %s: %s", type(error).__name__, error)
    if isinstance(error, OutOfMemoryError) or "OOM" in str(error):
        return _problem(StorageFull("Redis is full; delete jobs, or raise its maxmemory"))
    job_id = (request.view_args or {}).get("job_id", "")
    if is_about_data(error) and is_id(job_id):
        # Once the reconciler has moved what is broken, the rest can be read again.
        service().broken.note_error("job", job_key(job_id), b"", error)
    if isinstance(error, (ResponseError, TemporarilyRefused)):
        # READONLY, LOADING, MISCONF, NOAUTH: the server answers but does not write.
        return _problem(Unavailable(f"Redis refused the command: {str(error)[:200]}", 5))
    return _problem(
        Unavailable(
            "Redis does not answer; send the request again, an order with its Idempotency-Key"
        )
    )


def _no_memory(error: MemoryError) -> Response:
    return _problem(too_much_memory())


def _unexpected(error: Exception) -> Response:
    LOG.exception("unhandled exception in a request", exc_info=error)
    return _problem(
        Problem(
            500, "Internal error", "unhandled exception in the service; its log has the traceback"
        )
    )

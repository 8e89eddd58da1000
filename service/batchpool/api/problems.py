"""Problems (RFC 9457): the error answers of the API, and the only place with HTTP statuses.

Problem
├── MalformedBody       400  the body is not JSON
├── NotFound            404  no such job, cursor target, route
├── Conflict            409  the state of the job, or a used Idempotency-Key
├── InvalidRequest      422  fields that are wrong, with `errors`
├── TooMuchQueued       429  more items wait for workers, or more comparisons, than may
├── Unavailable         503  Redis, workers or a free thread are missing for now
└── StorageFull         507  Redis has no room for more jobs
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from batchpool.jobs.refusals import NoWorkerSeen
from batchpool.schemas.refusals import MOST_ERRORS, FieldError, InvalidFields, Refusal

NO_WORKER_RETRY_S = 5


@dataclass
class Problem(Exception):
    """An error answer: its status, title, detail, wrong fields and headers."""

    status: int
    title: str
    detail: str
    errors: list[FieldError] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.status} {self.title}: {self.detail}"


class MalformedBody(Problem):
    def __init__(self, detail: str) -> None:
        super().__init__(400, "Malformed body", detail)


class NotFound(Problem):
    def __init__(self, detail: str) -> None:
        super().__init__(404, "Not found", detail)


class Conflict(Problem):
    def __init__(self, detail: str) -> None:
        super().__init__(409, "Conflict", detail)


class InvalidRequest(Problem):
    def __init__(self, errors: Iterable[FieldError]) -> None:
        found = list(errors)
        shown = found[:MOST_ERRORS]
        # Without a name it is the whole of it.
        detail = "; ".join(f"{error.field or 'body'}: {error.message}" for error in shown[:3])
        if len(found) > 3:
            detail += f"; and {len(found) - 3} more"
        super().__init__(422, "Invalid request", detail, shown)


class Unavailable(Problem):
    def __init__(self, detail: str, retry_after_s: int = 2) -> None:
        headers = {"Retry-After": str(retry_after_s)}
        super().__init__(503, "Unavailable", detail, headers=headers)


class TooManyDownloads(Unavailable):
    def __init__(self, most: int) -> None:
        super().__init__(f"all {most} downloads are in use; try again later", 5)


class TooMuchQueued(Problem):
    def __init__(self, detail: str) -> None:
        super().__init__(429, "Too much queued", detail, headers={"Retry-After": "5"})


class StorageFull(Problem):
    def __init__(self, detail: str) -> None:
        super().__init__(507, "Redis is full", detail, headers={"Retry-After": "10"})


def field_problem(field_name: str, message: str) -> InvalidRequest:
    """The problem of a single field."""
    return InvalidRequest([FieldError(field_name, message)])


def problem_of(refusal: Refusal) -> Problem:
    """The problem that answers a refusal of the domain."""
    match refusal:
        case InvalidFields(errors=errors):
            return InvalidRequest(errors)
        case NoWorkerSeen():
            return Unavailable(str(refusal), NO_WORKER_RETRY_S)
        case _:
            raise AssertionError(f"no status for {refusal!r}")

"""What can go wrong on the client's side.

BatchpoolError
├── Unreachable            nobody answers at the URL
├── ApiError               the service refused the request (.status, .title, .detail, .fields)
│   ├── InvalidRequest     400, 415, 422: what was sent is not a job that can be run
│   ├── NotFound           404
│   ├── Conflict           409
│   └── Unavailable        429, 503, 507: not now (.retry_after_s)
├── WaitTimeout            the job has not ended in time
├── NoRedis                no Redis server can be used on this machine
└── StackFailed            the local stack did not come up
"""

from collections.abc import Mapping
from typing import Any


class BatchpoolError(Exception):
    """Anything this package raises on purpose."""


class Unreachable(BatchpoolError):
    """Nobody answers at the service's URL."""


class ApiError(BatchpoolError):
    """The service answered with a problem document (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = dict(problem)
        self.title = str(problem.get("title") or f"HTTP {status}")
        self.detail = str(problem.get("detail") or "")
        self.fields: dict[str, str] = {
            str(error.get("field")): str(error.get("message"))
            for error in problem.get("errors") or ()
            if isinstance(error, Mapping)
        }
        super().__init__(self._text())

    def _text(self) -> str:
        text = self.title if not self.detail else f"{self.title}: {self.detail}"
        # The detail of a single wrong field tells it already.
        told = [f"{field}: {message}" for field, message in self.fields.items()]
        more = "; ".join(line for line in told if line not in self.detail)
        return f"{text} ({more})" if more else text


class InvalidRequest(ApiError):
    """What was sent is not something that the service can run (400, 415, 422)."""


class NotFound(ApiError):
    """There is no such thing, or no longer (404)."""


class Conflict(ApiError):
    """The job's state does not allow it, or an idempotency key was used for another body (409)."""


class Unavailable(ApiError):
    """The service cannot take it now, but may later (429, 503, 507)."""

    def __init__(
        self, status: int, problem: Mapping[str, Any], retry_after_s: float | None = None
    ) -> None:
        super().__init__(status, problem)
        self.retry_after_s = retry_after_s


class WaitTimeout(BatchpoolError):
    """The job has not ended within the time that the caller gave it."""


class NoRedis(BatchpoolError):
    """No Redis server can be used here; the message lists the ways out."""


class StackFailed(BatchpoolError):
    """The local stack did not come up; the message has the reason."""

"""Exceptions of the client.

BatchpoolError
├── InvalidInput           a value cannot be sent as JSON (.field)
├── Unreachable            no service answers at the URL
├── ApiError               the service refused the request (.status, .title, .detail, .fields)
│   ├── InvalidRequest     400, 415, 422: what was sent is not a job that can be run
│   ├── NotFound           404
│   ├── Conflict           409
│   └── Unavailable        429, 503, 507: not now (.retry_after_s)
├── WaitTimeout            the job has not ended in time
├── TaskFailed             an item has no value (.error_type, .message)
├── ItemsFailed            items of a map have none; an ExceptionGroup (.counts, .job_id)
├── NoRedis                no Redis server can be used on this machine
└── StackFailed            the local stack did not come up
"""

from collections.abc import Mapping
from typing import Any


class BatchpoolError(Exception):
    """Base class of the exceptions raised by this package."""


class InvalidInput(BatchpoolError, ValueError):
    """A value cannot be sent as JSON; `field` names it, such as `items[3]`."""

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        self.reason = reason
        super().__init__(f"{field}: {reason}")


class Unreachable(BatchpoolError):
    """No service answers at the URL."""


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
        # The detail of a single wrong field says so already.
        named = [f"{field}: {message}" for field, message in self.fields.items()]
        more = "; ".join(line for line in named if line not in self.detail)
        return f"{text} ({more})" if more else text


class InvalidRequest(ApiError):
    """The request is invalid (400, 415, 422)."""


class NotFound(ApiError):
    """The resource does not exist or has expired (404)."""


class Conflict(ApiError):
    """The job's state does not allow it, or the idempotency key has another body (409)."""


class Unavailable(ApiError):
    """The service cannot take the request now, but may later (429, 503, 507)."""

    def __init__(
        self, status: int, problem: Mapping[str, Any], retry_after_s: float | None = None
    ) -> None:
        super().__init__(status, problem)
        self.retry_after_s = retry_after_s


class WaitTimeout(BatchpoolError):
    """The job did not end within the time given by the caller."""


class TaskFailed(BatchpoolError):
    """An item has no value: its task raised, timed out or crashed, or it was cancelled.

    `error_type` is the name of the exception's class with its module, or `timeout`, `crashed`,
    `cancelled`. The traceback is that of the cause, a `RemoteTraceback`.
    """

    def __init__(self, error_type: str, message: str) -> None:
        self.error_type = error_type
        self.message = message
        # Both are its `args`, of which pickle makes it again.
        super().__init__(error_type, message)

    def __str__(self) -> str:
        return f"{self.error_type}: {self.message}" if self.message else self.error_type


class RemoteTraceback(Exception):
    """The traceback of a task as text: the cause of what its exception is raised as here."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


class ItemsFailed(BatchpoolError, ExceptionGroup[Exception]):
    """Items of a job have no value: the first exception of each type, as an exception group."""

    counts: Mapping[str, int]
    """The number of items by type of error, the most frequent first."""

    job_id: str


class NoRedis(BatchpoolError):
    """No usable Redis server was found; the message lists the fixes."""


class StackFailed(BatchpoolError):
    """The local stack did not start; the message has the reason."""

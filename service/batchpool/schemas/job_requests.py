"""Request models of jobs: bodies and query strings with their bounds."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    SkipValidation,
    model_validator,
)

from batchpool.backends.facts import BACKENDS
from batchpool.model import START_METHODS, JobState
from batchpool.retry_policy import RetryPolicy
from batchpool.schemas.fields import (
    FEW_JOBS,
    MAX_JOBS,
    Concurrency,
    Count,
    Items,
    Labels,
    Params,
    Rate,
    Seconds,
)
from batchpool.schemas.reading import Request, shown
from batchpool.schemas.reducers import Reduce
from batchpool.schemas.retries import Retries


def _known(names: Iterable[str]) -> Any:
    # In the schema only: the admission refuses with a better message than pydantic.
    return Field(max_length=200, json_schema_extra={"enum": list(names)})


_EITHER: list[Any] = [
    {"required": [one], "properties": {one: {"type": kind}, other: {"type": "null"}}}
    for one, kind, other in (("count", "integer", "items"), ("items", "array", "count"))
]


class JobRequest(Request):
    """A job to be run: a task, its items, and how to run them."""

    model_config = ConfigDict(json_schema_extra={"oneOf": _EITHER})

    task: Annotated[str, Field(min_length=1, max_length=200, description="a registered task")]
    params: Params = Field(default_factory=dict, description="arguments, by the task's JSON Schema")
    count: Count | None = Field(None, description="run the items 0 … count-1; or give `items`")
    items: Items | None = Field(None, description="the inputs, any JSON; or give `count`")
    backend: Annotated[str, _known(BACKENDS)] | None = Field(
        None,
        description="default: asyncio for a task with an async form only, process-pool for one "
        "with `bound` cpu, else thread-pool",
    )
    concurrency: Concurrency | None = Field(
        None, description="tasks of one batch in flight at most; default: by backend and CPUs"
    )
    batches: Count = Field(1, description="contiguous shares, each run by one worker")
    dispatch: Literal["map", "submit"] | None = Field(None, description="pools only; default map")
    chunksize: Count | None = Field(None, description="pools only; default: chosen by the worker")
    start_method: Annotated[str, _known(START_METHODS)] | None = Field(
        None, description="process-like backends only; default forkserver"
    )
    pool: Literal["warm", "fresh"] | None = Field(None, description="pools only; default warm")
    shared_sum: Literal["none", "global", "locked", "racy"] = "none"
    task_timeout_s: Seconds | None = None
    timeout_s: Seconds = Field(3600, description="from the first claim, over all retries")
    queue_timeout_s: Seconds = Field(86_400, description="while queued or parked")
    retries: Retries = Field(
        default_factory=RetryPolicy, description="of a failed item: a number, or when and for what"
    )
    rate: Rate | None = Field(
        None, description="items that may begin in a time, on all workers; default: the task's"
    )
    on_error: Literal["continue", "stop"] = "continue"
    reduce: Reduce = Field(
        default_factory=dict, description="what becomes of the values, by name: see ReducerSpec"
    )
    measure: bool = Field(False, description="report the CPU time and memory that batches used")
    logs: bool = Field(True, description="keep with each record what its item prints and logs")
    labels: Labels = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_source_of_items(self) -> "JobRequest":
        if (self.count is None) == (self.items is None):
            raise ValueError("exactly one of `count` and `items` must be given")
        return self

    @property
    def total(self) -> int:
        """The number of items."""
        return len(self.items) if self.items is not None else self.count or 0


ColumnType = Literal["text", "number", "boolean", "json"]


def _plain_columns(value: Any) -> Any:
    if type(value) is not dict:
        raise ValueError("must be an object of types by column")
    for name, kind in value.items():
        if kind not in get_args(ColumnType):
            known = ", ".join(get_args(ColumnType))
            raise ValueError(f"unknown type {shown(kind)} of {name[:80]!r}; known: {known}")
    return value


class CsvColumns(Request):
    """The part of an upload's order that a body of JSON does not have."""

    columns: Annotated[dict[str, ColumnType], BeforeValidator(_plain_columns)] = Field(
        default_factory=dict,
        description="of CSV: the types of columns that are not text",
    )


class JobsRequest(Request):
    """Jobs to be stored in one step; a job that is refused does not refuse the others."""

    jobs: Annotated[
        list[SkipValidation[JobRequest]], Field(min_length=1, max_length=MAX_JOBS), FEW_JOBS
    ]


# Few digits: the bounds of all fields that are read by this are far below a billion.
_WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,8})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def int_from_text(value: Any) -> Any:
    return int(value) if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value) else value


def number_from_text(value: Any) -> Any:
    # As JSON writes numbers: float() takes "1_0", " 1", "infinity" and digits of all scripts.
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise ValueError("must be a number")
    # An integer of 400 digits is not finite as a float; the bound of the field refuses it.
    return float(value)


Limit = Annotated[int, Field(ge=1, le=500), BeforeValidator(int_from_text)]


def _instant(text: str) -> str:
    instant_ms(text)
    return text


def instant_ms(text: str) -> int:
    """A time as RFC 3339 has it, in milliseconds since the Unix epoch.

    Raises:
        ValueError: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None or "T" not in text.upper():
            raise ValueError
        return int(found.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise ValueError("must be a time as 2026-11-26T17:00:00Z") from None


class JobsFilter(Request):
    """The filters of a list of jobs."""

    state: JobState | None = None
    task: Annotated[str, Field(max_length=200)] | None = None
    label: Annotated[str, Field(max_length=600, pattern="^[^=]+=")] | None = Field(
        None, description="`NAME=TEXT`: jobs that have this label"
    )
    submitted_after: (
        Annotated[
            str,
            Field(max_length=40, json_schema_extra={"format": "date-time"}),
            AfterValidator(_instant),
        ]
        | None
    ) = Field(None, description="jobs that were submitted at this time or later")

    @property
    def after_ms(self) -> int | None:
        """`submitted_after` in milliseconds since the Unix epoch."""
        return None if self.submitted_after is None else instant_ms(self.submitted_after)


class JobsQuery(JobsFilter):
    """`GET /v1/jobs`"""

    limit: Limit = 50
    cursor: Annotated[str, Field(pattern="^[0-9a-f]{24}$")] | None = None


class BulkQuery(JobsFilter):
    """`POST /v1/jobs/cancel`, `POST /v1/jobs/retry` and `DELETE /v1/jobs`"""

    @model_validator(mode="after")
    def _not_all(self) -> "BulkQuery":
        if not self.model_fields_set:
            names = ", ".join(f"`{name}`" for name in type(self).model_fields)
            raise ValueError(f"at least one filter must be given: {names}")
        return self


class JobQuery(Request):
    """`GET /v1/jobs/{id}`"""

    wait: Annotated[float, Field(ge=0), BeforeValidator(number_from_text)] = Field(
        0, description="seconds to wait for a terminal state, at most 60"
    )


def flag_from_text(value: Any) -> Any:
    if value not in ("0", "1"):
        raise ValueError("must be 0 or 1")
    return value == "1"


class DryRunQuery(Request):
    """`POST /v1/comparisons`"""

    dry_run: Annotated[bool, BeforeValidator(flag_from_text)] = Field(
        False,
        json_schema_extra={"type": "integer", "enum": [0, 1], "default": 0},
        description="1: answer the plan, or what would refuse it, and store nothing",
    )


class SubmitQuery(JobQuery, DryRunQuery):
    """`POST /v1/jobs`"""


class EventsQuery(Request):
    """`GET /v1/jobs/{id}/events`"""

    last_event_id: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="as the header Last-Event-ID, for clients that cannot send it"
    )


class NoQuery(Request):
    """A route that takes no query parameters."""

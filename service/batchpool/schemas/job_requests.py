"""Request models of jobs: bodies and query strings with their bounds."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from batchpool.backends.facts import BACKENDS
from batchpool.model import START_METHODS, JobState
from batchpool.schemas.fields import Concurrency, Count, Items, Labels, Params, Retries, Seconds
from batchpool.schemas.refusals import MOST_ERRORS, FieldError, InvalidFields


class Request(BaseModel):
    """A body or a query string: unknown fields are an error."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


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
    retries: Retries = Field(0, description="of a failed item")
    on_error: Literal["continue", "stop"] = "continue"
    measure: bool = Field(False, description="report the CPU time and memory that batches used")
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


# Few digits: the bounds of all fields that are read by this are far below a billion.
_NAMED_FIELD = re.compile(r"`(\w+)`")
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
    """`POST /v1/jobs/cancel` and `DELETE /v1/jobs`"""

    @model_validator(mode="after")
    def _not_all(self) -> "BulkQuery":
        if not self.model_fields_set:
            names = ", ".join(f"`{name}`" for name in type(self).model_fields)
            raise ValueError(f"at least one filter must be given: {names}")
        return self


class JobQuery(Request):
    """`GET /v1/jobs/{id}` and `POST /v1/jobs`"""

    wait: Annotated[float, Field(ge=0), BeforeValidator(number_from_text)] = Field(
        0, description="seconds to wait for a terminal state, at most 60"
    )


class EventsQuery(Request):
    """`GET /v1/jobs/{id}/events`"""

    last_event_id: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="as the header Last-Event-ID, for clients that cannot send it"
    )


class NoQuery(Request):
    """A route that takes no query parameters."""


RequestT = TypeVar("RequestT", bound=Request)


def read_model(model: type[RequestT], body: Any) -> RequestT:
    """Validate a body or query string as a `model`.

    Raises:
        InvalidFields: names the fields that are wrong.
    """
    if not isinstance(body, Mapping):
        raise InvalidFields([FieldError("", f"must be an object, got {_kind(body)}")])
    known = dict.fromkeys(field.alias or name for name, field in model.model_fields.items())
    # Checked here, not by pydantic: a megabyte of unknown names would make 100,000 error objects.
    unknown = [name for name in body if name not in known]
    errors = [
        FieldError(str(name)[:80], f"unknown field; known: {', '.join(known) or 'none'}")
        for name in unknown[:MOST_ERRORS]
    ]
    errors += [FieldError("", "unknown field")] * (len(unknown) - len(errors))
    try:
        found = model.model_validate({name: body[name] for name in body if name in known})
    except ValidationError as error:
        raise InvalidFields(
            errors
            + [
                _field_error(details, body)
                for details in error.errors(include_url=False, include_input=False)
            ]
        ) from None
    if errors:
        raise InvalidFields(errors)
    return found


def _field_error(details: ErrorDetails, body: Mapping[str, Any]) -> FieldError:
    # The rest of the path is pydantic's own: tags of the members of a union.
    path = [str(part) for part in details["loc"][:1]]
    message = _message(details)
    if message.startswith("must ") and ", got " not in message and path and path[0] in body:
        message += f", got {shown(body[path[0]])}"
    # A message about several fields names them; it is reported under the first.
    named = _NAMED_FIELD.search(message)
    return FieldError(".".join(path) or (named[1] if named else ""), message)


_MESSAGES = {
    "missing": "is required",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "literal_error": "must be {expected}",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:.15g}",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
}
"""By pydantic's types of errors; its own texts begin otherwise, and differ between its versions."""


def _message(details: ErrorDetails) -> str:
    text = _MESSAGES.get(details["type"])
    if text is None:
        return details["msg"].removeprefix("Value error, ")
    return text.format_map(details.get("ctx", {}))


def _kind(value: Any) -> str:
    kinds = {
        list: "an array",
        dict: "an object",
        str: "a string",
        bool: "a boolean",
        type(None): "null",
    }
    return kinds.get(type(value), "a number")


def shown(value: Any) -> str:
    """A value as messages show it, never long."""
    if isinstance(value, list | dict):
        return _kind(value)
    if isinstance(value, int) and value.bit_length() > 200:
        return "a very large number"
    text = json.dumps(value) if value in (None, True, False) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

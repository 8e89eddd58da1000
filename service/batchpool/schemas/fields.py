"""Field types shared by request models."""

import re
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    WithJsonSchema,
)

from batchpool.rates import RATE_PATTERN, interval_of

MAX_JOBS = 1000
"""In one request."""


MAX_CONCURRENCY = 10_000


MAX_LABELS = 32


MAX_LABEL_CHARS = 256


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
YEAR_S = 366 * 86_400


def _plain_int(value: Any) -> Any:
    # JSON Schema calls 16.0 an integer; pydantic's strict mode does not, its lax one takes true.
    if type(value) is float and value.is_integer():
        return int(value)
    if type(value) is not int:
        raise ValueError("must be a whole number")
    return value


def _plain_number(value: Any) -> Any:
    if type(value) not in (int, float):
        raise ValueError("must be a number")
    return value


def _plain_list(value: Any) -> Any:
    if type(value) is not list:
        raise ValueError("must be a list of JSON values")
    if not value:
        raise ValueError("must have at least one item, got none")
    return value


def _plain_object(value: Any) -> Any:
    if type(value) is not dict:
        raise ValueError("must be an object")
    return value


def refuse_control_characters(text: str) -> str:
    """The text, which goes to terminals and logs as it is.

    Raises:
        ValueError: it has control characters, or marks that turn the direction of writing.
    """
    if not text.isprintable() and (found := _CONTROL.search(text)):
        raise ValueError(f"must have no control characters, got {found[0]!r}")
    return text


def _plain_labels(value: Any) -> Any:
    _plain_object(value)
    # One message, not one for each wrong label: there may be a million.
    if len(value) > MAX_LABELS:
        raise ValueError(f"must have at most {MAX_LABELS} labels, got {len(value)}")
    for name, label in value.items():
        refuse_control_characters(name)
        if type(label) is not str or max(len(name), len(label)) > MAX_LABEL_CHARS:
            raise ValueError(
                f"label {name[:40]!r} must be text of at most {MAX_LABEL_CHARS} characters"
            )
        refuse_control_characters(label)
    return value


WHOLE_NUMBER = BeforeValidator(_plain_int)


NUMBER = BeforeValidator(_plain_number)


# The bounds stand before the validator: the other way round the schema says "ge", not "minimum".
Count = Annotated[int, Field(ge=1), WHOLE_NUMBER]


Concurrency = Annotated[int, Field(ge=1, le=MAX_CONCURRENCY), WHOLE_NUMBER]


def _rate(value: Any) -> Any:
    if type(value) is not str:
        raise ValueError("must be a rate as '10/s', '30/min' or '100/h'")
    interval_of(value)
    return value


Rate = Annotated[
    str, BeforeValidator(_rate), WithJsonSchema({"type": "string", "pattern": RATE_PATTERN})
]


Seconds = Annotated[float, Field(gt=0, le=YEAR_S), NUMBER]


def _few_jobs(value: Any) -> Any:
    if type(value) is not list:
        raise ValueError("must be a list of jobs")
    if not 1 <= len(value) <= MAX_JOBS:
        raise ValueError(f"must have 1 to {MAX_JOBS} jobs, got {len(value)}")
    return value


FEW_JOBS = BeforeValidator(_few_jobs)


# Kept as parsed: a model of the list would copy it and report each of a million items on its own.
Items = Annotated[
    Any, BeforeValidator(_plain_list), WithJsonSchema({"type": "array", "items": {}, "minItems": 1})
]


Params = Annotated[
    Any, BeforeValidator(_plain_object), WithJsonSchema({"type": "object", "default": {}})
]


Labels = Annotated[
    Any,
    BeforeValidator(_plain_labels),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": MAX_LABELS,
            "additionalProperties": {"type": "string", "maxLength": MAX_LABEL_CHARS},
        }
    ),
]

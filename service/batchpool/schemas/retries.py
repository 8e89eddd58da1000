"""The field `retries` of a request: a number of attempts, or a whole policy."""

from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from batchpool.retry_policy import Jitter, RetryPolicy
from batchpool.schemas.fields import NUMBER, WHOLE_NUMBER
from batchpool.schemas.reading import Request, read_part

MAX_RETRIES = 20
MAX_DELAY_S = 86_400
MAX_FACTOR = 100
MAX_TYPES = 32
MAX_TYPE_CHARS = 200

_Delay = Annotated[float, Field(ge=0, le=MAX_DELAY_S), NUMBER]


def _types(value: Any) -> Any:
    is_list = type(value) is list and len(value) <= MAX_TYPES
    if not (is_list and all(type(x) is str and 0 < len(x) <= MAX_TYPE_CHARS for x in value)):
        raise ValueError(f"must be a list of at most {MAX_TYPES} names of types of errors")
    return value


class RetriesSpec(Request):
    """When a failed item is tried again."""

    max: Annotated[int, Field(ge=0, le=MAX_RETRIES), WHOLE_NUMBER] = Field(
        description="attempts after the first"
    )
    delay_s: _Delay = Field(RetryPolicy.delay_s, description="the wait before the second attempt")
    factor: Annotated[float, Field(ge=1, le=MAX_FACTOR), NUMBER] = Field(
        RetryPolicy.factor, description="each later wait is so many times as long"
    )
    max_delay_s: _Delay = Field(
        RetryPolicy.max_delay_s, description="the longest wait; by default delay_s at least"
    )
    jitter: Jitter = Field(
        RetryPolicy.jitter, description="full: each wait is random, from 0 up to that"
    )
    on: Annotated[list[str], Field(max_length=MAX_TYPES), BeforeValidator(_types)] = Field(
        default_factory=list,
        description="types of errors as records have them, or their last part; empty: any",
    )

    @model_validator(mode="after")
    def _delays_fit(self) -> "RetriesSpec":
        if "max_delay_s" not in self.model_fields_set:
            self.max_delay_s = max(self.max_delay_s, self.delay_s)
        elif self.max_delay_s < self.delay_s:
            raise ValueError(
                f"`max_delay_s` must be at least delay_s, {self.delay_s:g}, "
                f"got {self.max_delay_s:g}"
            )
        return self


def _as_policy(value: Any) -> RetryPolicy:
    if type(value) is dict:
        return RetryPolicy.from_json(read_part("retries", RetriesSpec, value).model_dump())
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise ValueError("must be a whole number or an object")
    if not 0 <= value <= MAX_RETRIES:
        raise ValueError("must be at least 0" if value < 0 else f"must be at most {MAX_RETRIES}")
    return RetryPolicy(max=value)


Retries = Annotated[
    RetryPolicy,
    PlainValidator(_as_policy),
    PlainSerializer(RetryPolicy.to_json),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MAX_RETRIES},
                RetriesSpec.model_json_schema(),
            ],
            "default": 0,
        }
    ),
]

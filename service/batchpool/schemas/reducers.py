"""Reducers as jobs order them."""

import re
from itertools import pairwise
from math import isfinite
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from batchpool.json_value import JsonObject
from batchpool.reducers.pointer import MOST_POINTER_CHARS, parse_pointer
from batchpool.reducers.reducer import MOST_BINS, MOST_K, MOST_REDUCERS, Op, Reducer
from batchpool.schemas.fields import WHOLE_NUMBER
from batchpool.schemas.reading import Request, read_part, shown
from batchpool.schemas.refusals import invalid_field

MOST_BOUND = 1e300
MOST_REDUCED_BYTES = 64 << 20
"""What the reducers of one job may keep: whoever asks for the job reads and merges all of it."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_HISTOGRAM = ("bounds", "low", "high", "bins")


def _pointer(text: str) -> str:
    parse_pointer(text)
    return text


def _plain_bound(value: Any) -> Any:
    if type(value) not in (int, float) or not -MOST_BOUND <= value <= MOST_BOUND:
        allowed = f"from {-MOST_BOUND:g} to {MOST_BOUND:g}"
        raise ValueError(f"must be a number {allowed}, got {shown(value)}")
    return value


def _plain_bounds(value: Any) -> Any:
    if type(value) is not list:
        raise ValueError("must be a list of numbers")
    if not 2 <= len(value) <= MOST_BINS + 1:
        raise ValueError(f"must have 2 to {MOST_BINS + 1} numbers, got {len(value)}")
    for bound in value:
        _plain_bound(bound)
    for low, high in pairwise(value):
        if low >= high:
            raise ValueError(f"must ascend, got {high!r} after {low!r}")
    return value


_BOUND: JsonObject = {"type": "number", "minimum": -MOST_BOUND, "maximum": MOST_BOUND}
Bound = Annotated[Any, BeforeValidator(_plain_bound), WithJsonSchema(_BOUND)]
Bounds = Annotated[
    Any,
    BeforeValidator(_plain_bounds),
    WithJsonSchema({"type": "array", "items": _BOUND, "minItems": 2, "maxItems": MOST_BINS + 1}),
]


class ReducerSpec(Request):
    """What becomes of the values of a job; items that succeeded count once."""

    op: Op = Field(
        description="min, max and top give the item's index too; variance is that of a sample; "
        "count_values counts numbers, texts, booleans and null"
    )
    of: Annotated[str, Field(max_length=MOST_POINTER_CHARS), AfterValidator(_pointer)] = Field(
        "", description="JSON pointer to the part of each value that is taken; default: all of it"
    )
    k: Annotated[int, Field(ge=1, le=MOST_K), WHOLE_NUMBER] | None = Field(
        None, description="top only: how many"
    )
    bounds: Bounds | None = Field(
        None, description="histogram only: ascending bounds of its bins; or `low`, `high`, `bins`"
    )
    low: Bound | None = None
    high: Bound | None = None
    bins: Annotated[int, Field(ge=1, le=MOST_BINS), WHOLE_NUMBER] | None = None

    @model_validator(mode="after")
    def _options_of_its_op(self) -> "ReducerSpec":
        if self.op == "top" and self.k is None:
            raise ValueError("`k` must be given for top")
        if self.op != "top" and self.k is not None:
            raise ValueError("`k` can only be given for top")
        if self.op == "histogram":
            self._check_bins()
            return self
        for name in _HISTOGRAM:
            if getattr(self, name) is not None:
                raise ValueError(f"`{name}` can only be given for histogram")
        return self

    def _check_bins(self) -> None:
        missing = [name for name in _HISTOGRAM[1:] if getattr(self, name) is None]
        if self.bounds is not None and len(missing) < 3:
            raise ValueError("`bounds` must be left out where low, high or bins is given")
        if self.bounds is not None:
            return
        if missing:
            raise ValueError(f"`{missing[0]}` must be given: low, high and bins, or bounds")
        assert self.low is not None and self.high is not None
        if self.low >= self.high:
            raise ValueError("`high` must be greater than low")
        edges = self.reducer().edges()
        if not all(isfinite(low) and low < high for low, high in pairwise(edges)):
            raise ValueError("`bins` must be fewer: bounds between low and high would be equal")

    def reducer(self) -> Reducer:
        """The same, as workers know it."""
        return Reducer(**self.model_dump())


def read_reducers(raw: JsonObject, batches: int) -> dict[str, Reducer]:
    """The reducers of a request, by name.

    Raises:
        InvalidFields: one of them is wrong, or all of them may keep too much.
    """
    found = {
        name: read_part(f"reduce.{name}", ReducerSpec, each).reducer() for name, each in raw.items()
    }
    room = batches * sum(reducer.room_bytes for reducer in found.values())
    if room > MOST_REDUCED_BYTES:
        raise invalid_field(
            "reduce",
            f"may need {-(-room >> 20)} MiB in {batches} batches, at most "
            f"{MOST_REDUCED_BYTES >> 20}: order fewer batches, or fewer reducers with "
            "count_values or top",
        )
    return found


def _plain_reduce(value: Any) -> Any:
    if type(value) is not dict:
        raise ValueError("must be an object of reducers by name")
    if len(value) > MOST_REDUCERS:
        raise ValueError(f"must have at most {MOST_REDUCERS} reducers, got {len(value)}")
    for name in value:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"name {name[:40]!r} must be 1 to 64 letters, digits, dots, hyphens or underscores"
            )
    return value


Reduce = Annotated[
    Any,
    BeforeValidator(_plain_reduce),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": MOST_REDUCERS,
            "propertyNames": {"pattern": f"^{_NAME.pattern}$"},
            "additionalProperties": ReducerSpec.model_json_schema(),
            "default": {},
        }
    ),
]

"""Requests of comparisons: a job template, the arms or a grid of them, the rounds; queries."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from batchpool.backends.facts import BACKENDS
from batchpool.json_value import JsonObject
from batchpool.model import DISPATCHES, POOLS, START_METHODS, JobState
from batchpool.schemas.fields import (
    NUMBER,
    WHOLE_NUMBER,
    Concurrency,
    Count,
    Items,
    Labels,
    Params,
    Seconds,
    refuse_control_characters,
)
from batchpool.schemas.job_requests import JobQuery, JobRequest, Limit
from batchpool.schemas.reading import Request, shown

MOST_ARMS = 20
MOST_RUNS = 200
MOST_ROUNDS = 100
MOST_WARMUP = 5
MOST_NAME_CHARS = 60
MOST_CONDITIONS = 10
MOST_CONDITION_CHARS = 200
DEFAULT_ROUNDS = 10
DEFAULT_MIN_EFFECT = 0.03
DEFAULT_TIMEOUT_S = 600.0
MOST_SEED = 2**53 - 1
"""Above it, JSON readers that keep numbers as floats would show another seed."""


def _plain_arms(value: Any) -> Any:
    if type(value) is not list:
        raise ValueError("must be a list of arms")
    if not 2 <= len(value) <= MOST_ARMS:
        raise ValueError(f"must have 2 to {MOST_ARMS} arms, got {len(value)}")
    return value


def _plain_grid(value: Any) -> Any:
    if type(value) is not dict:
        raise ValueError("must be an object of lists")
    return value


def _name_or_index(value: Any) -> Any:
    if type(value) not in (str, int) or (type(value) is str and len(value) > MOST_NAME_CHARS):
        raise ValueError("must be the name of an arm, or its index from 0")
    return value


class ArmRequest(Request):
    """One way to run the items; omitted options are filled in as for a job."""

    name: (
        Annotated[
            str,
            Field(min_length=1, max_length=MOST_NAME_CHARS),
            AfterValidator(refuse_control_characters),
        ]
        | None
    ) = Field(None, description="default: from backend, batches and concurrency")
    backend: Annotated[str, Field(max_length=200, json_schema_extra={"enum": list(BACKENDS)})]
    concurrency: Concurrency | None = None
    batches: Count = 1
    dispatch: Literal["map", "submit"] | None = None
    chunksize: Count | None = None
    start_method: (
        Annotated[str, Field(max_length=200, json_schema_extra={"enum": list(START_METHODS)})]
        | None
    ) = None
    pool: Literal["warm", "fresh"] | None = None
    shared_sum: Literal["none", "global", "locked", "racy"] = "none"


def _plain_axis(value: Any) -> Any:
    if type(value) is not list or not 1 <= len(value) <= MOST_ARMS:
        raise ValueError(f"must be a list of 1 to {MOST_ARMS} values")
    return value


def _list_of(schema: JsonObject) -> WithJsonSchema:
    return WithJsonSchema({"type": "array", "items": schema, "minItems": 1, "maxItems": MOST_ARMS})


_AXIS = BeforeValidator(_plain_axis)
Backends = Annotated[Any, _AXIS, _list_of({"type": "string", "enum": list(BACKENDS)})]
Numbers = Annotated[Any, _AXIS, _list_of({"type": "integer", "minimum": 1})]
StartMethods = Annotated[Any, _AXIS, _list_of({"enum": list(START_METHODS)})]
Dispatches = Annotated[Any, _AXIS, _list_of({"enum": list(DISPATCHES)})]
Pools = Annotated[Any, _AXIS, _list_of({"enum": list(POOLS)})]


def _plain_conditions(value: Any) -> Any:
    if type(value) is not list:
        raise ValueError("must be a list of conditions")
    if len(value) > MOST_CONDITIONS:
        raise ValueError(f"must have at most {MOST_CONDITIONS} conditions, got {len(value)}")
    for index, text in enumerate(value):
        if type(text) is not str or not 1 <= len(text) <= MOST_CONDITION_CHARS:
            raise ValueError(
                f"must be a list of texts of 1 to {MOST_CONDITION_CHARS} characters, "
                f"got {shown(text)} at {index}"
            )
        refuse_control_characters(text)
    return value


Conditions = Annotated[
    Any,
    BeforeValidator(_plain_conditions),
    WithJsonSchema(
        {
            "type": "array",
            "maxItems": MOST_CONDITIONS,
            "items": {"type": "string", "minLength": 1, "maxLength": MOST_CONDITION_CHARS},
        }
    ),
]


class GridRequest(Request):
    """Lists of values, each combination of which is an arm; equal combinations are one arm."""

    backend: Backends
    concurrency: Numbers | None = None
    batches: Numbers | None = None
    dispatch: Dispatches | None = None
    chunksize: Numbers | None = None
    start_method: StartMethods | None = None
    pool: Pools | None = None
    in_flight: Annotated[int, Field(ge=1), WHOLE_NUMBER] | None = Field(
        None, description="keep only the arms with batches × concurrency equal to this"
    )


_EITHER: list[Any] = [
    {
        "allOf": [
            {"required": [source], "properties": {source: {"type": kind}, other: {"type": "null"}}},
            {"required": [arms], "properties": {arms: {"type": shape}, none: {"type": "null"}}},
        ]
    }
    for source, kind, other in (("count", "integer", "items"), ("items", "array", "count"))
    for arms, shape, none in (("arms", "array", "grid"), ("grid", "object", "arms"))
]


class ComparisonRequest(Request):
    """The same items under several arms, in interleaved rounds."""

    model_config = ConfigDict(json_schema_extra={"oneOf": _EITHER})

    task: Annotated[str, Field(min_length=1, max_length=200, description="a registered task")]
    params: Params = Field(default_factory=dict, description="arguments, by the task's JSON Schema")
    count: Count | None = Field(None, description="run the items 0 … count-1; or give `items`")
    items: Items | None = Field(None, description="the inputs, any JSON; or give `count`")
    arms: (
        Annotated[
            Any,
            BeforeValidator(_plain_arms),
            WithJsonSchema(
                {
                    "type": "array",
                    "minItems": 2,
                    "maxItems": MOST_ARMS,
                    "items": ArmRequest.model_json_schema(),
                }
            ),
        ]
        | None
    ) = Field(None, description="2 to 20 ways to run the items; or give `grid`")
    grid: (
        Annotated[
            Any,
            BeforeValidator(_plain_grid),
            WithJsonSchema(GridRequest.model_json_schema()),
        ]
        | None
    ) = Field(None, description="lists of values whose combinations are the arms; or give `arms`")
    rounds: Annotated[int, Field(ge=1, le=MOST_ROUNDS), WHOLE_NUMBER] = Field(
        DEFAULT_ROUNDS, description="each runs every arm once, in shuffled order"
    )
    warmup: Annotated[int, Field(ge=0, le=MOST_WARMUP), WHOLE_NUMBER] = Field(
        1, description="rounds before the measured ones"
    )
    seed: Annotated[int, Field(ge=0, le=MOST_SEED), WHOLE_NUMBER] | None = Field(
        None, description="of the order and of the bootstrap; default: random, and shown"
    )
    reference: (
        Annotated[
            Any,
            BeforeValidator(_name_or_index),
            WithJsonSchema({"type": ["string", "integer"]}),
        ]
        | None
    ) = Field(None, description="name or index of an arm; default: the first sequential, else 0")
    min_effect: Annotated[float, Field(ge=0, lt=1), NUMBER] = Field(
        DEFAULT_MIN_EFFECT, description="the smallest difference that gets a verdict"
    )
    fail_unless: Conditions = Field(
        default_factory=list,
        description="what it must show of the arms' speeds: `process-pool:2 > 1.5 * sequential`",
    )
    timeout_s: Seconds = Field(DEFAULT_TIMEOUT_S, description="of each run")
    labels: Labels = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_source_each(self) -> "ComparisonRequest":
        if (self.count is None) == (self.items is None):
            raise ValueError("exactly one of `count` and `items` must be given")
        if (self.arms is None) == (self.grid is None):
            raise ValueError("exactly one of `arms` and `grid` must be given")
        return self

    @property
    def total(self) -> int:
        """The number of items of each run."""
        return len(self.items) if self.items is not None else self.count or 0


def job_of(request: ComparisonRequest, arm: ArmRequest) -> JobRequest:
    """One run of the arm as a request for a job; the items stay with the comparison."""
    return JobRequest.model_construct(
        task=request.task,
        params=request.params,
        count=request.total,
        items=None,
        timeout_s=request.timeout_s,
        labels=request.labels,
        **arm.model_dump(exclude={"name"}),
    )


class ComparisonsQuery(Request):
    """`GET /v1/comparisons`"""

    state: JobState | None = None
    task: Annotated[str, Field(max_length=200)] | None = None
    limit: Limit = 50
    cursor: Annotated[str, Field(pattern="^[0-9a-f]{24}$")] | None = None


class ComparisonQuery(JobQuery):
    """`GET /v1/comparisons/{id}`"""

    format: Literal["json", "markdown", "csv", "hyperfine", "card"] | None = Field(
        None, description="default: by the Accept header; only json before there are results"
    )

"""Requests of records and values: their query strings."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from batchpool.model import RECORD_STATES
from batchpool.schemas.job_requests import Request, int_from_text

_STATE = f"({'|'.join(RECORD_STATES)})"


def _known_states(text: str) -> str:
    unknown = sorted(set(text.split(",")) - set(RECORD_STATES))
    if unknown:
        raise ValueError(f"unknown state {unknown[0][:80]!r}; known: {', '.join(RECORD_STATES)}")
    return text


RecordLimit = Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(int_from_text)]
Index = Annotated[int, Field(ge=0, le=100_000_000), BeforeValidator(int_from_text)]
States = Annotated[
    str,
    Field(max_length=80, json_schema_extra={"pattern": f"^{_STATE}(,{_STATE})*$"}),
    AfterValidator(_known_states),
]


class RecordsQuery(Request):
    """`GET /v1/jobs/{id}/records`"""

    limit: RecordLimit | None = Field(
        None, description="JSON: default 100, at most 10,000; streams: default all"
    )
    cursor: Index = 0
    state: States | None = Field(None, description="one or more states, separated by commas")

    @property
    def states(self) -> frozenset[str] | None:
        return frozenset(self.state.split(",")) if self.state else None


class ValuesQuery(Request):
    """`GET /v1/jobs/{id}/values`"""

    missing: Literal["fail", "null", "skip"] = Field(
        "fail",
        description="for items without a value: answer 409 with their number, "
        "put null in their place, or leave them out",
    )

"""Requests of records and values: their query strings."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from batchpool.ledger.blocks.block_index import Selection
from batchpool.model import RECORD_STATES
from batchpool.schemas.job_requests import int_from_text
from batchpool.schemas.reading import Request
from batchpool.schemas.record_responses import Record

_STATE = f"({'|'.join(RECORD_STATES)})"
_FIELD = f"({'|'.join(Record.model_fields)})"


def _known_states(text: str) -> str:
    unknown = sorted(set(text.split(",")) - set(RECORD_STATES))
    if unknown:
        raise ValueError(f"unknown state {unknown[0][:80]!r}; known: {', '.join(RECORD_STATES)}")
    return text


def _known_fields(text: str) -> str:
    names = text.split(",")
    unknown = sorted(set(names) - set(Record.model_fields))
    if unknown:
        known = ", ".join(Record.model_fields)
        raise ValueError(f"unknown field {unknown[0][:80]!r}; known: {known}")
    if len(set(names)) < len(names):
        raise ValueError("must name each field once")
    return text


RecordLimit = Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(int_from_text)]
Index = Annotated[int, Field(ge=0, le=100_000_000), BeforeValidator(int_from_text)]
States = Annotated[
    str,
    Field(max_length=80, json_schema_extra={"pattern": f"^{_STATE}(,{_STATE})*$"}),
    AfterValidator(_known_states),
]
Fields = Annotated[
    str,
    Field(max_length=400, json_schema_extra={"pattern": f"^{_FIELD}(,{_FIELD})*$"}),
    AfterValidator(_known_fields),
]


class RecordsQuery(Request):
    """`GET /v1/jobs/{id}/records`"""

    limit: RecordLimit | None = Field(
        None, description="JSON: default 100, at most 10,000; streams: default all"
    )
    cursor: Index = 0
    state: States | None = Field(None, description="one or more states, separated by commas")
    fields: Fields | None = Field(
        None, description="only these fields of each record, separated by commas"
    )

    follow: Literal["0", "1"] = Field(
        "0", description="1: NDJSON of the records as they are written, until the job has ended"
    )
    after: Annotated[str, Field(max_length=4000)] | None = Field(
        None, description="with `follow`: a cursor that such a stream gave; what follows it is sent"
    )
    has_log: Literal["0", "1"] = Field(
        "0", description="1: only records of items that printed or logged something"
    )

    @property
    def chosen(self) -> tuple[str, ...] | None:
        """The names in `fields`, in their order."""
        return tuple(self.fields.split(",")) if self.fields else None

    @property
    def wanted(self) -> Selection:
        """What is read: with `has_log`, the log too."""
        fields = (*self.chosen, "log") if self.chosen and self.has_log == "1" else self.chosen
        states = self.state.split(",") if self.state else None
        return Selection(states, fields, has_log=self.has_log == "1")


class ValuesQuery(Request):
    """`GET /v1/jobs/{id}/values`"""

    missing: Literal["fail", "null", "skip"] = Field(
        "fail",
        description="for items without a value: answer 409 with their number, "
        "put null in their place, or leave them out",
    )
    cursor: Index = Field(0, description="the index of the item to begin with")
    limit: RecordLimit | None = Field(
        None,
        description="of so many items, with or without a value; `Link` names the next ones. "
        "Default: of all",
    )

"""Response models of records: of single items, of failures by cause, and of traces."""

from typing import Any

from pydantic import ConfigDict, Field, RootModel

from batchpool.json_value import JsonObject
from batchpool.model import RecordState
from batchpool.schemas.job_responses import ErrorInfo, Instant, Number, ResponseModel


class FailedAttempt(ResponseModel):
    error: ErrorInfo
    wall_s: float


def _requires_nothing(schema: JsonObject) -> None:
    del schema["required"]


class Record(ResponseModel):
    """The record of one item: all of its fields, or those that the query names."""

    model_config = ConfigDict(json_schema_extra=_requires_nothing)

    index: int
    item: Any
    state: RecordState
    value: Any
    error: ErrorInfo | None
    batch: int
    epoch: int | None
    attempt: int = Field(description="from 1; 0 for an item that never ran")
    tries: list[FailedAttempt] = Field(description="failed attempts before the last one")
    worker: str | None
    host: str | None
    pid: int | None
    ppid: int | None
    thread_id: int | None
    thread_name: str | None
    interpreter: int | None
    started_at: Instant | None
    offset_s: float | None = Field(description="since the start of the epoch, monotonic")
    wall_s: float | None
    cpu_s: float | None
    sum_seen: Number | None
    log: str | None = Field(
        description="what the item printed and logged, at most 8 KiB, with a note where it is cut; "
        "null if nothing, or with `logs: false`"
    )


class RecordPage(ResponseModel):
    records: list[Record]
    next: str | None


class Values(RootModel[list[Any]]):
    """What the tasks returned, by item index."""


class FrameInfo(ResponseModel):
    file: str
    line: int
    function: str


class FailureSample(ResponseModel):
    index: int
    state: RecordState
    batch: int
    worker: str
    error: ErrorInfo | None


class FailureGroup(ResponseModel):
    """Failures of one type at one place."""

    type: str
    frame: FrameInfo | None = Field(description="the last one of the task's own code")
    count: int
    indices: list[int] = Field(description="the first ones, at most 20")
    samples: list[FailureSample] = Field(description="the first ones, at most 3")


class Failures(ResponseModel):
    """The items that ran and failed, timed out or crashed, grouped by their cause."""

    total: int
    grouped: int = Field(description="of them, at most 50,000")
    groups: list[FailureGroup] = Field(description="the largest first, at most 100")
    groups_total: int


class Trace(ResponseModel):
    """Chrome Trace Event Format; opens in Perfetto."""

    displayTimeUnit: str
    otherData: JsonObject
    traceEvents: list[JsonObject]

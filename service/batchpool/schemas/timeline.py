"""The query and the answer of a job's timeline. Times are seconds since the job was submitted."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from batchpool.model import JobState
from batchpool.schemas.fields import YEAR_S
from batchpool.schemas.job_requests import int_from_text, number_from_text
from batchpool.schemas.job_responses import Instant, Number, ResponseModel
from batchpool.schemas.reading import Request

Since = Annotated[float, Field(ge=0, le=10 * YEAR_S), BeforeValidator(number_from_text)]
Width = Annotated[int, Field(ge=100, le=4000), BeforeValidator(int_from_text)]
Share = Annotated[int, Field(ge=0, le=100)]
Interval = Annotated[list[float], Field(min_length=2, max_length=2)]


class TimelineQuery(Request):
    """`GET /v1/jobs/{id}/timeline`"""

    start_s: Since = Field(0.0, alias="from", description="seconds since the submission")
    end_s: Since | None = Field(
        None, alias="to", description="the same; default: the end of the job, or now"
    )
    width: Width = Field(1200, description="of the view, in pixels")
    shared_sum: Literal["0", "1"] = Field("0", description="1: with the steps of the shared sum")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end_s is not None and self.end_s <= self.start_s:
            raise ValueError(
                f"`to` must be greater than `from` ({self.start_s:g}), got {self.end_s:g}"
            )
        return self


class Bars(ResponseModel):
    """One entry of each column per item."""

    index: list[int]
    start: list[float]
    wall: list[float]
    cpu: list[float]
    state: str = Field(
        description="a letter per item: s succeeded, f failed, t timeout, x crashed, c cancelled"
    )
    attempt: list[int]
    epoch: list[int]
    batch: list[int]


class Bins(ResponseModel):
    """Shares of each bin in %; what there is at all is at least 1."""

    busy: list[Share] = Field(description="an item ran")
    cpu: list[Share] = Field(description="it computed; CPU time counts as spread over its item")
    failed: list[list[int]] = Field(
        description="[bin, index of the first, count] of the items that failed, by their start"
    )


class TimelineLane(ResponseModel):
    """A thread or process, or one of the places that items share which run side by side."""

    host: str
    worker: str
    pid: int | None = Field(description="null where each item had a process of its own")
    ppid: int
    thread: str | None
    label: str
    items: int = Field(description="in the whole job")
    bars: Bars | None = None
    bins: Bins | None = None
    starts: list[Interval] = Field(description="start-ups of the backend")
    queue: list[Interval] = Field(description="waits in the queue before its first work")
    running: float | None = Field(
        description="the end of what ran here before the item that runs now; null where none runs"
    )


class TimelineMark(ResponseModel):
    at: float
    kind: Literal["worker_lost", "takeover", "run_again", "refused_write"] = Field(
        description="`run_again`: one for each item that was in flight when its worker was lost"
    )
    worker: str
    lane: int | None = Field(description="the first one of that epoch, by its position")
    batch: int
    epoch: int
    since: float | None = Field(alias="from", description="last sign of life of a lost worker")
    kept: int | None = Field(description="items that a takeover found recorded")
    items: int | None
    text: str


class SharedSumSteps(ResponseModel):
    lane: dict[str, list[list[Number]]] = Field(
        description="[time, the sum as an item saw it then], by the position of the lane"
    )


class Timeline(ResponseModel):
    """The timeline of a job: bars, or bins where there are over about four bars per pixel."""

    job: str
    state: JobState
    submitted_at: Instant
    start: float = Field(alias="from", description="of what is shown")
    to: float
    end: float = Field(description="of the whole job")
    now: float | None = Field(description="while it runs")
    width: int
    binned: bool
    bin_s: float | None
    total: int = Field(description="items that have a record of a run")
    shown: int = Field(description="of them in what is shown")
    overview: list[Share] = Field(
        description="share of all lanes that is busy, in bins over the whole job"
    )
    lanes: list[TimelineLane] = Field(
        description="by host, worker, process and thread, each in the order of its first work"
    )
    lanes_total: int
    lanes_shown: int
    marks: list[TimelineMark]
    shared_sum: SharedSumSteps | None

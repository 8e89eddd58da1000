"""Response models of dry runs."""

from typing import Literal

from pydantic import Field

from batchpool.schemas.comparison_responses import ComparisonSpecInfo
from batchpool.schemas.job_responses import ResponseModel, Spec


class PlannedBatch(ResponseModel):
    first: int = Field(description="index of its first item")
    count: int


class Forecast(ResponseModel):
    """How long the job would run once a worker takes it."""

    run_s: float
    like: str = Field(description="the job whose items took that long: same task, same way")


class PlannedJob(ResponseModel):
    """The job that would be submitted; nothing is stored."""

    dry_run: Literal[True]
    spec: Spec
    class_id: str = Field(description="of workers, that would take it")
    workers: int = Field(description="live workers of this class")
    batches: list[PlannedBatch]
    forecast: Forecast | None = Field(description="null without a job like it")
    first_id: str | None = Field(
        description="the job that a request with this Idempotency-Key has made, and would be "
        "answered again"
    )


class PlannedRun(ResponseModel):
    """One job of the comparison."""

    kind: Literal["solo", "warmup", "sample"]
    arm: str = Field(description="its name; `alone` is the baseline run, `… again` the control")
    round: int = Field(description="from 1 within its kind")
    batches: list[int] = Field(description="the items of each")


class ComparisonForecast(ResponseModel):
    """How long all runs would take, without the pauses between them."""

    runs_s: float
    like: dict[str, str] = Field(
        description="by arm the job whose items took that long: same task, same way"
    )


class PlannedComparison(ResponseModel):
    """The comparison that would be submitted; nothing is stored."""

    dry_run: Literal[True]
    spec: ComparisonSpecInfo
    class_id: str = Field(description="of workers, that would run all arms")
    workers: int = Field(description="live workers of this class")
    workers_needed: int = Field(description="by the widest arm, at once")
    runs: list[PlannedRun] = Field(
        description="in this order, by `spec.seed`; disturbed ones are repeated"
    )
    least_s: float = Field(
        description="no machine can finish the runs sooner; 0 if nothing is known of the task"
    )
    forecast: ComparisonForecast | None = Field(
        description="null unless for each arm there is a job like its runs"
    )
    first_id: str | None = Field(
        description="the comparison that a request with this Idempotency-Key has made, and would "
        "be answered again"
    )

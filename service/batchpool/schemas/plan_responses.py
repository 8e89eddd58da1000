"""Response models of a dry run."""

from typing import Literal

from pydantic import Field

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

"""The query strings of comparisons."""

from typing import Annotated, Literal

from pydantic import Field

from batchpool.schemas.job_requests import JobQuery, JobStateName, Limit, Request


class ComparisonsQuery(Request):
    """`GET /v1/comparisons`"""

    state: JobStateName | None = None
    task: Annotated[str, Field(max_length=200)] | None = None
    limit: Limit = 50
    cursor: Annotated[str, Field(pattern="^[0-9a-f]{24}$")] | None = None


class ComparisonQuery(JobQuery):
    """`GET /v1/comparisons/{id}`"""

    format: Literal["json", "markdown", "csv", "hyperfine"] | None = Field(
        None, description="default: by Accept; the others than json once there are results"
    )

"""The query of a report."""

from typing import Annotated

from pydantic import Field

from batchpool.schemas.reading import Request


class ReportQuery(Request):
    """`GET /v1/jobs/{id}/report` and `GET /v1/comparisons/{id}/report`"""

    chart: Annotated[str, Field(pattern="^[a-z0-9-]{1,40}$")] | None = Field(
        None, description="the name of one chart of the report: it is sent alone, as SVG"
    )

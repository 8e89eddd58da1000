"""Response models of lessons: what each is, and what a run of it showed."""

from typing import Literal

from pydantic import Field

from batchpool.json_value import JsonObject
from batchpool.model import JobState
from batchpool.schemas.comparison_responses import ComparisonProgress
from batchpool.schemas.job_responses import Number, ResponseModel


class LessonInfo(ResponseModel):
    """A guided experiment; `order` is the body of `POST /v1/comparisons` that runs it."""

    name: str
    title: str
    lead: str
    code: str
    further: str = Field(description="what to try next")
    order: JsonObject


class Lessons(ResponseModel):
    lessons: list[LessonInfo]


class TaskRun(ResponseModel):
    """One task of the round that is shown; times in seconds since the job's first claim."""

    item: Number
    worker: str
    pid: int
    parent: int = Field(description="of the process: the worker, or the fork server that made it")
    thread: str
    start_s: float
    wall_s: float
    cpu_s: float
    sum_seen: Number | None = Field(description="the shared sum after the task had added")


class LessonWay(ResponseModel):
    """One way to run the tasks: medians over its rounds, and the round of median time."""

    name: str
    heading: str = Field(description="empty for a way that is measured and not shown")
    backend: str
    job: str | None = Field(description="of the round that is shown; null if it is gone")
    wall_s: float | None
    speedup: float | None = Field(description="against the first way")
    verdict: Literal["faster", "slower", "no difference shown"] | None
    round_speedups: list[float]
    cpu_share: float | None = Field(description="CPU time of the tasks / their wall time")
    observed: Number | None = Field(description="what the shared sum held at the end")
    lost: list[Number] = Field(description="by round: exact sum minus observed")
    sum: Number | None = Field(description="the exact sum, from the records")
    ready_s: float | None = Field(description="from the claim to the first task")
    parents: str = Field(description="which process started those of the tasks, and why")
    tasks: list[TaskRun]


class LessonRun(ResponseModel):
    """A run of a lesson: how far it is, and what it showed."""

    lesson: str
    comparison: str
    state: JobState
    progress: ComparisonProgress
    sentence: str | None = Field(description="what was measured; null before the end")
    doubts: list[str] = Field(description="why nothing follows from it; empty if something does")
    ways: list[LessonWay]

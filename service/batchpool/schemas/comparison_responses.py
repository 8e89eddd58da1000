"""What the API answers about comparisons, as models."""

from typing import Any, Literal

from pydantic import Field

from batchpool.schemas.job_responses import (
    ErrorInfo,
    Instant,
    ItemsInfo,
    JobStateName,
    ResponseModel,
)

Verdict = Literal["faster", "slower", "no difference shown"]


class ArmSpec(ResponseModel):
    """How the jobs of an arm are run; null where its backend has no such thing."""

    name: str
    backend: str
    concurrency: int
    batches: int
    dispatch: Literal["map", "submit"] | None
    chunksize: int | None
    start_method: str | None
    pool: Literal["warm", "fresh"] | None
    shared_sum: Literal["none", "global", "locked", "racy"]


class ComparisonSpec(ResponseModel):
    """The order as it is run."""

    task: str
    params: dict[str, Any]
    items: ItemsInfo
    arms: list[ArmSpec]
    reference: int = Field(description="the arm that the others are compared with")
    rounds: int
    warmup: int
    seed: int = Field(description="of the order of the runs, and of the bootstrap")
    min_effect: float
    timeout_s: float = Field(description="of each run")
    labels: dict[str, str]


class ComparisonProgress(ResponseModel):
    runs: int = Field(description="in the plan, warm-ups and the run alone included")
    done: int
    kind: Literal["solo", "warmup", "sample"] | None
    round: int | None
    rounds: int
    arm: str | None
    attempt: int | None = Field(description="a run that was disturbed is repeated, up to 5 times")
    job: str | None = Field(description="the job of the run that is under way")
    disturbed: int = Field(description="runs that were repeated, or kept as disturbed")
    failed_arms: dict[str, str] = Field(description="arms that are not run any more, and why")
    waits_for: str | None = Field(description="what the next run waits for, if it does")


class ComparisonTiming(ResponseModel):
    submitted_at: Instant
    started_at: Instant | None
    finished_at: Instant | None
    queue_s: float
    wall_s: float | None


class RatioInfo(ResponseModel):
    """Time of the arm / time of the reference: over rounds, the middle of their ratios."""

    value: float
    low: float = Field(description="of the bootstrap interval, nominal 95 %")
    high: float
    p: float = Field(description="of the signed-rank test, two-sided, exact")
    p_adjusted: float | None = Field(description="after Holm, over all arms")
    rounds: int


class Speedup(ResponseModel):
    value: float
    low: float
    high: float


class Flag(ResponseModel):
    kind: str
    weight: Literal["void", "warning"]
    message: str


class ArmResult(ResponseModel):
    """What the rounds of an arm came to; times are medians over rounds, in seconds."""

    index: int
    name: str
    spec: ArmSpec
    samples: list[float] = Field(description="wall times, by round")
    rounds: int
    median_s: float | None
    mad_s: float | None
    ratio: RatioInfo | None
    speedup: Speedup | None = Field(description="1 / ratio, measured in the same sitting")
    verdict: Verdict | None
    why: str = Field(description="why there is no verdict, or what it rests on")
    outliers: list[int] = Field(description="rounds; they are flagged and not dropped")
    startup_s: float | None
    queue_s: float | None
    parts: dict[str, float | None] | None = Field(description="where the wall time went")
    per_task: dict[str, float | None] = Field(description="of a task, as the median over tasks")
    pool: list[str]
    flags: list[Flag]
    peak_pss_bytes: int | None = Field(description="of the processes of its batches")
    cpu_s: float | None
    task_wall_s: float | None
    task_cpu_s: float | None
    hosts: list[str]
    cpus: float | None
    max_in_flight: int | None = Field(description="tasks, as their intervals show")
    disturbed: int


class Control(ResponseModel):
    """The reference a second time, unseen among the arms: it must show no difference."""

    arm: int
    samples: list[float]
    ratio: RatioInfo | None
    passed: bool


class FindingInfo(ResponseModel):
    kind: str
    arm: str | None = Field(description="null: all of them")
    message: str


class Sample(ResponseModel):
    """One run that has ended; `facts` are what the analysis was made of."""

    run: int
    kind: Literal["solo", "warmup", "sample"]
    arm: int = Field(description="-1: the items alone; one past the last: the control")
    round: int | None
    attempt: int
    job_id: str
    disturbed: str | None = Field(description="why it does not count")
    facts: dict[str, Any] | None
    error: str | None
    took_s: float


class ComparisonSummary(ResponseModel):
    """A comparison as it stands in a list."""

    id: str
    state: JobStateName
    spec: ComparisonSpec
    progress: ComparisonProgress
    timing: ComparisonTiming
    error: ErrorInfo | None
    links: dict[str, str]


class Comparison(ComparisonSummary):
    """A comparison; what follows from its samples is null until it has ended."""

    arms: list[ArmResult] | None
    aa: Control | None
    guard: list[FindingInfo] | None = Field(description="what took verdicts away")
    warnings: list[FindingInfo] | None
    grid: dict[str, Any] | None = Field(description="batches × concurrency, at an equal budget")
    model: dict[str, Any] | None = Field(description="Amdahl's law and the USL over concurrency")
    statistics: dict[str, Any] | None
    conclusion: list[str] | None
    environment: dict[str, Any] | None
    samples: list[Sample]


class ComparisonPage(ResponseModel):
    comparisons: list[ComparisonSummary]
    next: str | None = Field(description="cursor of the next page")

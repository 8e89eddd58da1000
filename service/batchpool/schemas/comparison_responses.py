"""Response models of comparisons."""

from typing import Literal

from pydantic import Field

from batchpool.json_value import JsonObject
from batchpool.ledger.values.comparison_entries import ArmSpec
from batchpool.model import JobState
from batchpool.schemas.job_responses import (
    ErrorInfo,
    Instant,
    ItemsInfo,
    ResponseModel,
)

Verdict = Literal["faster", "slower", "no difference shown"]


class ArmSpecInfo(ResponseModel):
    """The options of an arm's jobs; null where its backend has no such option."""

    name: str
    backend: str
    concurrency: int
    batches: int
    dispatch: Literal["map", "submit"] | None
    chunksize: int | None
    start_method: str | None
    pool: Literal["warm", "fresh"] | None
    shared_sum: Literal["none", "global", "locked", "racy"]


def arm_spec_info(arm: ArmSpec) -> ArmSpecInfo:
    """The spec of an arm as the API shows it; its class of workers is an internal id."""
    shown = arm.to_json()
    del shown["class_id"]
    return ArmSpecInfo.model_validate(shown)


class ComparisonSpecInfo(ResponseModel):
    """The comparison as it is run, every field filled in."""

    task: str
    params: JsonObject
    items: ItemsInfo
    arms: list[ArmSpecInfo]
    reference: int = Field(description="the arm that the others are compared with")
    rounds: int
    warmup: int
    seed: int = Field(description="of the order of the runs, and of the bootstrap")
    min_effect: float
    fail_unless: list[str] = Field(description="what it must show, as ordered")
    timeout_s: float = Field(description="of each run")
    labels: dict[str, str]


class ComparisonProgress(ResponseModel):
    runs: int = Field(description="in the plan, warm-up and baseline runs included")
    done: int
    kind: Literal["solo", "warmup", "sample"] | None
    round: int | None
    rounds: int
    arm: str | None
    attempt: int | None = Field(description="a disturbed run is repeated, up to 5 attempts")
    job: str | None = Field(description="the job of the current run")
    disturbed: int = Field(description="runs that were repeated, or kept as disturbed")
    failed_arms: dict[str, str] = Field(description="arms that are no longer run, and why")
    waits_for: str | None = Field(description="what the next run is waiting for, if anything")


class ComparisonTiming(ResponseModel):
    submitted_at: Instant
    started_at: Instant | None
    finished_at: Instant | None
    queue_s: float
    wall_s: float | None


class RatioInfo(ResponseModel):
    """Time of the arm / time of the reference: the median of the ratios by round."""

    value: float
    low: float = Field(description="end of the bootstrap interval, nominal 95 %")
    high: float
    p: float = Field(description="two-sided, of the exact signed-rank test")
    p_adjusted: float | None = Field(description="by Holm, over all arms")
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
    """The result of an arm; times are medians over its rounds, in seconds."""

    index: int
    name: str
    spec: ArmSpecInfo
    samples: list[float] = Field(description="wall times, by round")
    rounds: int
    median_s: float | None
    mad_s: float | None
    ratio: RatioInfo | None
    speedup: Speedup | None = Field(description="1 / ratio, measured in the same comparison")
    verdict: Verdict | None
    why: str = Field(description="why there is no verdict, or what supports it")
    outliers: list[int] = Field(description="rounds; outliers are flagged, not dropped")
    startup_s: float | None
    queue_s: float | None
    parts: dict[str, float | None] | None = Field(description="where the wall time went")
    per_task: dict[str, float | None] = Field(
        description="of a task: medians over the tasks of a run"
    )
    pool: list[str]
    flags: list[Flag]
    peak_pss_bytes: int | None = Field(description="of all processes of its batches")
    cpu_s: float | None
    task_wall_s: float | None
    task_cpu_s: float | None
    hosts: list[str]
    cpus: float | None
    max_in_flight: int | None = Field(description="tasks at once, from their intervals")
    disturbed: int


class Control(ResponseModel):
    """The reference measured a second time, as a hidden arm: it must show no difference."""

    arm: int
    samples: list[float]
    ratio: RatioInfo | None
    passed: bool


class FindingInfo(ResponseModel):
    kind: str
    arm: str | None = Field(description="null: all arms")
    message: str


ConditionOutcome = Literal["passed", "failed", "not proven"]


class SpeedRatio(ResponseModel):
    """Speed of one arm / speed of another, by round; a speed is 1 / wall time."""

    value: float
    low: float | None = Field(description="end of the exact 99 % interval; null: too few rounds")
    high: float | None
    rounds: int


class ConditionResult(ResponseModel):
    """Whether the comparison shows what it had to."""

    condition: str = Field(description="as ordered")
    outcome: ConditionOutcome = Field(
        description="passed: the whole interval is above `least`; failed: all of it is below"
    )
    fast: str = Field(description="the arm that must be faster")
    slow: str
    least: float = Field(description="of the speed of `fast` / the speed of `slow`")
    ratio: SpeedRatio | None
    rounds_needed: int | None = Field(
        description="when not proven: with how many rounds it would be decided, if known"
    )
    why: str


class SampleInfo(ResponseModel):
    """One run that has ended; `facts` is the input of the analysis."""

    run: int
    kind: Literal["solo", "warmup", "sample"]
    arm: int = Field(description="-1: the baseline run; one past the last: the control")
    round: int | None
    attempt: int
    job_id: str
    disturbed: str | None = Field(description="why it does not count")
    facts: JsonObject | None
    error: str | None
    took_s: float


class ComparisonSummary(ResponseModel):
    """A comparison in a list or an event."""

    id: str
    state: JobState
    spec: ComparisonSpecInfo
    progress: ComparisonProgress
    timing: ComparisonTiming
    error: ErrorInfo | None
    links: dict[str, str]


class Analysis(ResponseModel):
    """The results of a comparison: the part of it that follows from its samples."""

    arms: list[ArmResult]
    aa: Control | None
    guard: list[FindingInfo]
    warnings: list[FindingInfo]
    grid: JsonObject | None
    model: JsonObject | None
    conditions: list[ConditionResult] = Field(default_factory=list)
    statistics: JsonObject
    conclusion: list[str]


class Comparison(ComparisonSummary):
    """A comparison; the results of its analysis are null until it has ended."""

    arms: list[ArmResult] | None
    aa: Control | None
    guard: list[FindingInfo] | None = Field(description="errors: checks that took verdicts away")
    warnings: list[FindingInfo] | None
    grid: JsonObject | None = Field(description="batches × concurrency, at equal tasks in flight")
    model: JsonObject | None = Field(description="fits of Amdahl's law and the USL")
    conditions: list[ConditionResult] | None = Field(description="of `fail_unless`, in its order")
    statistics: JsonObject | None
    conclusion: list[str] | None
    environment: JsonObject | None
    samples: list[SampleInfo]


class ComparisonPage(ResponseModel):
    comparisons: list[ComparisonSummary]
    next: str | None = Field(description="cursor of the next page")

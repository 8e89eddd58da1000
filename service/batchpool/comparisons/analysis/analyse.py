"""Analyse a comparison: arms, verdicts, checks, models and conclusion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Literal

from batchpool.comparisons.analysis.arm_samples import Arm, group_samples
from batchpool.comparisons.analysis.bootstrap import NOMINAL, RESAMPLES, mad, outliers
from batchpool.comparisons.analysis.checks import CheckInput, Finding, run_checks
from batchpool.comparisons.analysis.checks.base import Severity
from batchpool.comparisons.analysis.conclusion import conclude
from batchpool.comparisons.analysis.condition_outcomes import judge_conditions
from batchpool.comparisons.analysis.scalability_fit import scalability_models
from batchpool.comparisons.analysis.scale_out_grid import grid_of
from batchpool.comparisons.analysis.significance import holm
from batchpool.comparisons.analysis.verdicts import (
    Ratio,
    Verdict,
    decide,
    ratio_of,
    shows_a_difference,
)
from batchpool.ledger.values.comparison_entries import (
    ComparisonEntry,
    ComparisonSpec,
    Environment,
    RunFacts,
    Sample,
    TimeParts,
)
from batchpool.schemas.comparison_responses import (
    Analysis,
    ArmResult,
    Control,
    FindingInfo,
    Flag,
    RatioInfo,
    Speedup,
    arm_spec_info,
)

PARTS = tuple(field.name for field in fields(TimeParts))


@dataclass(frozen=True)
class ComparisonData:
    """The input of the analysis: what was requested, what was measured, and where."""

    spec: ComparisonSpec
    samples: Sequence[Sample]
    environment: Environment

    @classmethod
    def of(cls, entry: ComparisonEntry) -> "ComparisonData":
        """The input from a comparison whose samples are loaded."""
        return cls(entry.spec, entry.samples, entry.environment or Environment())


def analyse(comparison: ComparisonData) -> Analysis:
    """Arms with their verdicts, the A/A control, findings, grid, models and conclusion."""
    spec = comparison.spec
    arms, control = group_samples(spec, comparison.samples)
    reference = arms[spec.reference]
    ratios = {arm.index: ratio_of(arm.walls, reference.walls, spec.seed) for arm in arms}
    aa = ratio_of(control.walls, reference.walls, spec.seed)
    data = CheckInput(spec, arms, control, comparison.environment, aa)
    findings = run_checks(data)
    adjusted = holm({i: r.p for i, r in ratios.items() if r is not None and i != reference.index})
    results = [
        _result(arm, _judge(data, arm, ratios[arm.index], adjusted, findings), findings)
        for arm in arms
    ]
    grid, models = grid_of(results), scalability_models(data, _without_verdict(findings))
    return Analysis(
        arms=results,
        aa=_control(data),
        guard=[_info(data, each) for each in findings if each.severity == "error"],
        warnings=[_info(data, each) for each in findings if each.severity == "warning"],
        grid=grid.model_dump() if grid else None,
        model=models.model_dump(exclude_unset=True, by_alias=True) if models else None,
        conditions=judge_conditions(data, findings),
        statistics={"interval": NOMINAL, "resamples": RESAMPLES, "seed": spec.seed},
        conclusion=conclude(data, results, findings),
    )


@dataclass(frozen=True)
class _Judgement:
    ratio: Ratio | None
    p_adjusted: float | None
    verdict: Verdict | None
    why: str


def _judge(
    data: CheckInput,
    arm: Arm,
    ratio: Ratio | None,
    adjusted: Mapping[int, float],
    findings: Sequence[Finding],
) -> _Judgement:
    if arm.index == data.spec.reference:
        return _Judgement(None, None, None, "this is the reference")
    errors = [
        each.message
        for each in findings
        if each.severity == "error" and each.arm in (None, arm.index)
    ]
    if ratio is None:
        errors = errors or ["no round in which both it and the reference were measured"]
        return _Judgement(None, None, None, "; ".join(errors))
    p_adjusted = adjusted[arm.index]
    if errors:
        return _Judgement(ratio, p_adjusted, None, "; ".join(dict.fromkeys(errors)))
    verdict, why = decide(ratio, p_adjusted, data.spec.min_effect)
    return _Judgement(ratio, p_adjusted, verdict, why)


def _result(arm: Arm, judgement: _Judgement, findings: Sequence[Finding]) -> ArmResult:
    walls = list(arm.walls.values())
    ratio = judgement.ratio
    return ArmResult(
        index=arm.index,
        name=arm.name,
        spec=arm_spec_info(arm.spec),
        samples=walls,
        rounds=len(walls),
        median_s=arm.median_s,
        mad_s=mad(walls) if walls else None,
        ratio=_ratio_info(ratio, judgement.p_adjusted),
        speedup=None if ratio is None else _speedup(ratio),
        verdict=judgement.verdict,
        why=judgement.why,
        outliers=outliers(arm.walls),
        startup_s=arm.median_of(lambda facts: facts.startup_s),
        queue_s=arm.median_of(lambda facts: facts.queue_s),
        parts=_parts(arm),
        per_task={
            "wall_s": arm.median_of(lambda facts: facts.per_task.wall),
            "cpu_s": arm.median_of(lambda facts: facts.per_task.cpu),
            "waiting_s": arm.median_of(lambda facts: facts.per_task.waiting),
            "contention_s": arm.median_of(lambda facts: facts.per_task.contention),
        },
        pool=sorted({pool for run in arm.values_of(lambda f: f.pool) for pool in run if pool}),
        flags=[
            Flag(kind=each.kind, weight=_WEIGHTS[each.severity], message=each.message)
            for each in findings
            if each.arm == arm.index
        ],
        peak_pss_bytes=_whole(arm.median_of(lambda facts: facts.peak_pss_bytes)),
        cpu_s=arm.median_of(lambda facts: facts.cpu_s),
        task_wall_s=arm.median_of(lambda facts: facts.task_wall_s),
        task_cpu_s=arm.median_of(lambda facts: facts.task_cpu_s),
        hosts=sorted({host for hosts in arm.values_of(lambda f: f.hosts) for host in hosts}),
        cpus=arm.median_of(lambda facts: facts.cpus),
        max_in_flight=_whole(arm.median_of(lambda facts: facts.max_in_flight)),
        disturbed=len(arm.disturbed),
    )


_WEIGHTS: dict[Severity, Literal["void", "warning"]] = {"error": "void", "warning": "warning"}
"""The API's word for a severity."""


def _parts(arm: Arm) -> dict[str, float | None] | None:
    """The median over rounds of each part, so that a single odd round has no effect."""
    if not any(arm.values_of(lambda facts: facts.parts)):
        return None
    return {f"{name}_s": arm.median_of(partial(_part, name)) for name in PARTS}


def _part(name: str, facts: RunFacts) -> float | None:
    return getattr(facts.parts, name, None)


def _ratio_info(ratio: Ratio | None, p_adjusted: float | None) -> RatioInfo | None:
    if ratio is None:
        return None
    return RatioInfo(
        value=ratio.value,
        low=ratio.low,
        high=ratio.high,
        p=ratio.p,
        p_adjusted=p_adjusted,
        rounds=ratio.rounds,
    )


def _speedup(ratio: Ratio) -> Speedup:
    return Speedup(value=1 / ratio.value, low=1 / ratio.high, high=1 / ratio.low)


def _whole(number: float | None) -> int | None:
    return None if number is None else round(number)


def _control(data: CheckInput) -> Control | None:
    if data.aa is None:
        return None
    return Control(
        arm=data.reference.index,
        samples=list(data.control.walls.values()),
        ratio=_ratio_info(data.aa, None),
        passed=not shows_a_difference(data.aa, data.spec.min_effect),
    )


def _without_verdict(findings: Sequence[Finding]) -> frozenset[int | None]:
    """The arms without a verdict; None among them means all."""
    return frozenset(finding.arm for finding in findings if finding.severity == "error")


def _info(data: CheckInput, finding: Finding) -> FindingInfo:
    names = {arm.index: arm.name for arm in data.all_arms}
    arm = None if finding.arm is None else names[finding.arm]
    return FindingInfo(kind=finding.kind, arm=arm, message=finding.message)

"""One comparison as it was measured, and everything that can be said of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchpool.comparisons.analysis import scalability_fit as scaling
from batchpool.comparisons.analysis.arm_samples import Arm, group_samples
from batchpool.comparisons.analysis.bootstrap import NOMINAL, RESAMPLES, mad, outliers
from batchpool.comparisons.analysis.checks import CheckInput, Finding, run_checks
from batchpool.comparisons.analysis.conclusion import conclude
from batchpool.comparisons.analysis.scale_out_grid import grid_of
from batchpool.comparisons.analysis.significance import holm
from batchpool.comparisons.analysis.time_breakdown import PARTS
from batchpool.comparisons.analysis.verdicts import Ratio, decide, ratio_of, shows_a_difference


@dataclass(frozen=True)
class ComparisonData:
    """What was ordered, what was measured, and where.

    `samples`: {"arm", "round", "attempt", "run", "job_id", "disturbed": why or None,
    "facts": what `sample_facts` gave or None, "error": text or None}; rounds from 1; the arm
    with the number len(spec["arms"]) is the hidden copy of the reference. With a "kind" other
    than "sample" (a warm-up, the solo run) it is left out.
    """

    spec: Mapping[str, Any]
    samples: Sequence[Mapping[str, Any]]
    environment: Mapping[str, Any]


def analyse(session: ComparisonData) -> dict[str, Any]:
    """Arms with their verdicts, the A/A check, guard, grid, model, warnings and conclusion."""
    spec = session.spec
    arms, hidden = group_samples(spec, session.samples)
    reference = arms[spec["reference"]]
    ratios = {arm.index: ratio_of(arm.walls, reference.walls, spec["seed"]) for arm in arms}
    aa = ratio_of(hidden.walls, reference.walls, spec["seed"])
    case = CheckInput(spec, arms, hidden, session.environment, aa)
    found = run_checks(case)
    adjusted = holm({i: r.p for i, r in ratios.items() if r is not None and i != reference.index})
    shown = [
        _arm(case, arm, _judged(case, arm, ratios[arm.index], adjusted, found), found)
        for arm in arms
    ]
    return {
        "arms": shown,
        "aa": _aa(case),
        "guard": [_finding(case, each) for each in found if each.weight == "void"],
        "warnings": [_finding(case, each) for each in found if each.weight == "warning"],
        "grid": grid_of(shown),
        "model": scaling.scalability_models(case, _void(found)),
        "statistics": {"interval": NOMINAL, "resamples": RESAMPLES, "seed": spec["seed"]},
        "conclusion": conclude(case, shown, found),
    }


@dataclass(frozen=True)
class _Verdict:
    ratio: Ratio | None
    p_adjusted: float | None
    verdict: str | None
    why: str


def _judged(
    case: CheckInput,
    arm: Arm,
    ratio: Ratio | None,
    adjusted: Mapping[int, float],
    found: Sequence[Finding],
) -> _Verdict:
    if arm.index == case.spec["reference"]:
        return _Verdict(None, None, None, "the others are measured against it")
    reasons = [f.message for f in found if f.weight == "void" and f.arm in (None, arm.index)]
    if ratio is None:
        reasons = reasons or ["no round in which both it and the reference were measured"]
        return _Verdict(None, None, None, "; ".join(reasons))
    p_adjusted = adjusted[arm.index]
    if reasons:
        return _Verdict(ratio, p_adjusted, None, "; ".join(dict.fromkeys(reasons)))
    verdict, why = decide(ratio, p_adjusted, case.spec["min_effect"])
    return _Verdict(ratio, p_adjusted, verdict, why)


def _arm(case: CheckInput, arm: Arm, judged: _Verdict, found: Sequence[Finding]) -> dict[str, Any]:
    walls = list(arm.walls.values())
    ratio = judged.ratio
    return {
        "index": arm.index,
        "name": arm.name,
        "spec": dict(arm.spec),
        "samples": walls,
        "rounds": len(walls),
        "median_s": arm.median_s,
        "mad_s": mad(walls) if walls else None,
        "ratio": _shown_ratio(ratio, judged.p_adjusted),
        "speedup": None if ratio is None else _turned(ratio),
        "verdict": judged.verdict,
        "why": judged.why,
        "outliers": outliers(arm.walls),
        "startup_s": arm.median_of("startup_s"),
        "queue_s": arm.median_of("queue_s"),
        "parts": _parts(arm),
        "per_task": {
            f"{name}_s": arm.median_of("per_task", name)
            for name in ("wall", "cpu", "waiting", "contention")
        },
        "pool": sorted({pool for pools in arm.values_of("pool") for pool in pools if pool}),
        "flags": [
            {"kind": each.kind, "weight": each.weight, "message": each.message}
            for each in found
            if each.arm == arm.index
        ],
        "peak_pss_bytes": _whole(arm.median_of("peak_pss_bytes")),
        "cpu_s": arm.median_of("cpu_s"),
        "task_wall_s": arm.median_of("task_wall_s"),
        "task_cpu_s": arm.median_of("task_cpu_s"),
        "hosts": sorted({host for hosts in arm.values_of("hosts") for host in hosts}),
        "cpus": arm.median_of("cpus"),
        "max_in_flight": _whole(arm.median_of("max_in_flight")),
        "disturbed": len(arm.disturbed),
    }


def _parts(arm: Arm) -> dict[str, float | None] | None:
    """The median over rounds of each part, so that one odd round hides nothing."""
    if not any(arm.values_of("parts")):
        return None
    return {f"{part}_s": arm.median_of("parts", part) for part in (*PARTS, "unaccounted")}


def _shown_ratio(ratio: Ratio | None, p_adjusted: float | None) -> dict[str, Any] | None:
    if ratio is None:
        return None
    return {
        "value": ratio.value,
        "low": ratio.low,
        "high": ratio.high,
        "p": ratio.p,
        "p_adjusted": p_adjusted,
        "rounds": ratio.rounds,
    }


def _turned(ratio: Ratio) -> dict[str, float]:
    return {"value": 1 / ratio.value, "low": 1 / ratio.high, "high": 1 / ratio.low}


def _whole(number: float | None) -> int | None:
    return None if number is None else round(number)


def _aa(case: CheckInput) -> dict[str, Any] | None:
    if case.aa is None:
        return None
    differs = shows_a_difference(case.aa, case.spec["min_effect"])
    return {
        "arm": case.reference.index,
        "samples": list(case.control.walls.values()),
        "ratio": _shown_ratio(case.aa, None),
        "passed": not differs,
    }


def _void(found: Sequence[Finding]) -> frozenset[int | None]:
    """The arms without a verdict; None among them: all."""
    return frozenset(finding.arm for finding in found if finding.weight == "void")


def _finding(case: CheckInput, finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "arm": None if finding.arm is None else _name(case, finding.arm),
        "message": finding.message,
    }


def _name(case: CheckInput, index: int) -> str:
    return next(arm.name for arm in case.all_arms if arm.index == index)

"""From the ledger's entry of a comparison to what the API shows; pure."""

from batchpool.comparisons.analysis.exports import Results
from batchpool.comparisons.planning import arm_name, plan_runs
from batchpool.ledger.values.comparison_entries import ComparisonEntry, ComparisonSpec, Environment
from batchpool.model import TERMINAL_STATES
from batchpool.schemas.comparison_responses import (
    Analysis,
    Comparison,
    ComparisonProgress,
    ComparisonSpecInfo,
    ComparisonSummary,
    ComparisonTiming,
    SampleInfo,
    arm_spec_info,
)
from batchpool.schemas.job_responses import ErrorInfo, ItemsInfo
from batchpool.timestamps import rfc3339

FORMATS = ("markdown", "csv", "hyperfine", "card")


def results_of(entry: ComparisonEntry) -> Results | None:
    """The results of a comparison, None before its end, or when it ended without any."""
    if entry.analysis is None:
        return None
    analysis = Analysis.model_validate(entry.analysis)
    return Results(entry.spec, entry.samples, entry.environment or Environment(), analysis)


def show_comparison(entry: ComparisonEntry, now_ms: int) -> Comparison:
    """The comparison as `GET /v1/comparisons/{id}` answers it; no verdict before its end."""
    analysis = Analysis.model_validate(entry.analysis) if entry.analysis else None
    summary = show_comparison_summary(entry, now_ms)
    return Comparison(
        **dict(summary) | {"links": _links(entry)},
        arms=analysis.arms if analysis else None,
        aa=analysis.aa if analysis else None,
        guard=analysis.guard if analysis else None,
        warnings=analysis.warnings if analysis else None,
        grid=analysis.grid if analysis else None,
        model=analysis.model if analysis else None,
        conditions=analysis.conditions if analysis else None,
        statistics=analysis.statistics if analysis else None,
        conclusion=analysis.conclusion if analysis else _without_analysis(entry),
        environment=entry.environment.to_json() if entry.environment else None,
        samples=[SampleInfo.model_validate(sample.to_json()) for sample in entry.samples],
    )


def show_comparison_summary(entry: ComparisonEntry, now_ms: int) -> ComparisonSummary:
    """The comparison as lists and events show it."""
    return ComparisonSummary(
        id=entry.id,
        state=entry.state,
        spec=show_comparison_spec(entry.spec),
        progress=_progress(entry),
        timing=_timing(entry, now_ms),
        error=ErrorInfo.model_validate(entry.error) if entry.error else None,
        links={"self": f"/v1/comparisons/{entry.id}"},
    )


def show_comparison_spec(spec: ComparisonSpec) -> ComparisonSpecInfo:
    """The spec as the API shows it."""
    return ComparisonSpecInfo(
        task=spec.task,
        params=spec.params,
        items=ItemsInfo.model_validate(spec.items.to_json()),
        arms=[arm_spec_info(arm) for arm in spec.arms],
        reference=spec.reference,
        rounds=spec.rounds,
        warmup=spec.warmup,
        seed=spec.seed,
        min_effect=spec.min_effect,
        fail_unless=list(spec.fail_unless),
        timeout_s=spec.timeout_s,
        labels=spec.labels,
    )


def _progress(entry: ComparisonEntry) -> ComparisonProgress:
    plan = plan_runs(entry.spec)
    is_open = entry.position < len(plan) and entry.state not in TERMINAL_STATES
    run = plan[entry.position] if is_open else None
    return ComparisonProgress(
        runs=len(plan),
        done=min(entry.position, len(plan)),
        kind=run.kind if run else None,
        round=run.round if run else None,
        rounds=entry.spec.rounds,
        arm=arm_name(entry.spec, run.arm) if run else None,
        attempt=entry.attempt if run else None,
        job=entry.job_id,
        disturbed=entry.notes.disturbed,
        failed_arms={
            arm_name(entry.spec, int(arm)): why for arm, why in entry.notes.failed.items()
        },
        waits_for=_waits_for(entry),
    )


def _waits_for(entry: ComparisonEntry) -> str | None:
    if entry.state == "queued":
        return "its turn"
    if entry.state != "running" or entry.job_id is not None:
        return None
    return entry.notes.waits_for


def _timing(entry: ComparisonEntry, now_ms: int) -> ComparisonTiming:
    end_ms = entry.finished_ms or now_ms
    return ComparisonTiming(
        submitted_at=rfc3339(entry.submitted_ms),
        started_at=rfc3339(entry.started_ms),
        finished_at=rfc3339(entry.finished_ms),
        queue_s=max(0, (entry.started_ms or end_ms) - entry.submitted_ms) / 1000,
        wall_s=max(0, end_ms - entry.started_ms) / 1000 if entry.started_ms else None,
    )


def _without_analysis(entry: ComparisonEntry) -> list[str] | None:
    if entry.state == "cancelled":
        done, runs = entry.position, len(plan_runs(entry.spec))
        return [f"Cancelled after {done} of {runs} runs: no verdict."]
    if entry.state == "failed" and entry.error:
        return [f"No verdict: {entry.error['message']}."]
    return None


def _links(entry: ComparisonEntry) -> dict[str, str]:
    base = f"/v1/comparisons/{entry.id}"
    links = {"self": base, "events": f"{base}/events"}
    if entry.state in TERMINAL_STATES:
        links |= {name: f"{base}?format={name}" for name in FORMATS}
    else:
        links["cancel"] = f"{base}/cancel"
    if entry.job_id is not None:
        links["job"] = f"/v1/jobs/{entry.job_id}"
    return links

"""Answer what the dry run of a comparison found."""

from collections.abc import Sequence

from batchpool.api.context import ApiContext
from batchpool.api.use_cases.submit_comparison import ComparisonDryRun
from batchpool.comparisons.aggregation import show_comparison_spec
from batchpool.comparisons.duration import expected_s
from batchpool.comparisons.planning import Run, arm_name, arm_spec, job_spec, plan_runs
from batchpool.jobs.forecast import forecast_s, jobs_like
from batchpool.jobs.planning import live_by_class, split_ranges
from batchpool.ledger.values.comparison_entries import ComparisonSpec
from batchpool.schemas.plan_responses import ComparisonForecast, PlannedComparison, PlannedRun


def show_comparison_plan(context: ApiContext, found: ComparisonDryRun) -> PlannedComparison:
    """The plan of a comparison that was not stored."""
    spec, class_id = found.admitted.spec, found.admitted.class_id
    runs = plan_runs(spec)
    return PlannedComparison(
        dry_run=True,
        spec=show_comparison_spec(spec),
        class_id=class_id,
        workers=len(live_by_class(context.fleets.cached().workers).get(class_id, ())),
        workers_needed=spec.workers_needed,
        runs=[
            PlannedRun(
                kind=run.kind,
                arm=arm_name(spec, run.arm),
                round=run.round,
                batches=[count for _, count in _ranges(spec, run.arm)],
            )
            for run in runs
        ],
        least_s=found.least_s,
        forecast=_forecast(context, spec, runs),
        first_id=found.first_id,
    )


def _forecast(
    context: ApiContext, spec: ComparisonSpec, runs: Sequence[Run]
) -> ComparisonForecast | None:
    by_arm = {run.arm: run for run in runs}
    took_s: dict[int, list[float]] = {}
    like = {}
    jobs = jobs_like(context.jobs, [job_spec("", spec, run) for run in by_arm.values()])
    for arm, job in zip(by_arm, jobs, strict=True):
        seconds = forecast_s(_ranges(spec, arm), job, arm_spec(spec, arm).batches) if job else None
        if job and seconds is not None:
            took_s[arm] = [seconds]
            like[arm_name(spec, arm)] = job.id
    expected = expected_s(runs, took_s, spec.reference)
    return None if expected is None else ComparisonForecast(runs_s=expected, like=like)


def _ranges(spec: ComparisonSpec, arm: int) -> list[tuple[int, int]]:
    return split_ranges(spec.count, arm_spec(spec, arm).batches)

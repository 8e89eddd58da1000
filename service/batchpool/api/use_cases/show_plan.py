"""Answer what a dry run found."""

from batchpool.api.context import ApiContext
from batchpool.api.use_cases.submit_job import DryRun
from batchpool.jobs.aggregation import show_spec
from batchpool.jobs.forecast import forecast_s, jobs_like
from batchpool.jobs.planning import live_by_class
from batchpool.schemas.plan_responses import Forecast, PlannedBatch, PlannedJob


def show_plan(context: ApiContext, found: DryRun) -> PlannedJob:
    """The plan of a job that was not stored."""
    plan = found.plan
    workers = len(live_by_class(context.fleets.cached().workers).get(plan.class_id, ()))
    (like,) = jobs_like(context.jobs, [plan.spec])
    seconds = forecast_s(plan.ranges, like, workers) if like else None
    return PlannedJob.model_validate(
        {
            "dry_run": True,
            "spec": show_spec(plan.spec),
            "class_id": plan.class_id,
            "workers": workers,
            "batches": [PlannedBatch(first=first, count=count) for first, count in plan.ranges],
            "forecast": Forecast(run_s=seconds, like=like.id) if like and seconds else None,
            "first_id": found.first_id,
        }
    )

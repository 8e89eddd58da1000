"""The plan of a job or a comparison, as text."""

from batchpool.json_value import JsonObject


def plan_text(plan: JsonObject) -> str:
    """Lines about a job that was not submitted."""
    spec, sizes = plan["spec"], {batch["count"] for batch in plan["batches"]}
    size = " or ".join(f"{each:,}" for each in sorted(sizes))
    forecast, workers = plan["forecast"], plan["workers"]
    lines = [
        f"{spec['task']} × {spec['items']['count']:,} on {spec['backend']}",
        f"batches: {len(plan['batches']):,}, each of {size} items",
        f"workers: {workers:,} live of class {plan['class_id']}",
        f"time: about {forecast['run_s']:.3g} s, as the items of job {forecast['like']} took"
        if forecast
        else "time: not known, since no job like it has ended",
    ]
    if plan["first_id"]:
        lines.append(f"job {plan['first_id']} was submitted with this Idempotency-Key already")
    return "\n".join([*lines, "Nothing was submitted."])


def comparison_plan_text(plan: JsonObject) -> str:
    """Lines about a comparison that was not submitted."""
    spec, runs = plan["spec"], plan["runs"]
    arms = [arm["name"] for arm in spec["arms"]]
    arms[spec["reference"]] += " (the reference)"
    baseline = "1 of the items alone, " if any(run["kind"] == "solo" for run in runs) else ""
    warmup = f"{spec['warmup']} warm-up × {len(arms)} arms"
    rounds = f"{spec['rounds']} rounds × ({len(arms)} + 1 control)"
    needed, live = plan["workers_needed"], plan["workers"]
    lines = [
        f"{spec['task']} × {spec['items']['count']:,} in each run",
        *(("arms: " if at == 0 else "      ") + name for at, name in enumerate(arms)),
        f"runs: {len(runs):,} jobs: {baseline}{warmup}, {rounds}",
        f"seed: {spec['seed']}",
        f"workers: {needed:,} needed, {live:,} live of class {plan['class_id']}",
        f"time: {_comparison_time(plan)}",
    ]
    if plan["first_id"]:
        lines.append(f"comparison {plan['first_id']} was submitted with this Idempotency-Key")
    return "\n".join([*lines, "Nothing was submitted."])


def _comparison_time(plan: JsonObject) -> str:
    forecast, least_s = plan["forecast"], plan["least_s"]
    if forecast:
        return f"about {forecast['runs_s']:.3g} s for the runs, as jobs like them took"
    if least_s:
        return f"at least {least_s:.3g} s; more is not known, since jobs like the runs are missing"
    return "not known, since no jobs like the runs have ended"

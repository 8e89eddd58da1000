"""The plan of a job, as text."""

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

"""From the ledger's entry of a comparison to what the API shows; pure."""

from typing import Any

from batchpool.comparisons.planning import arm_name, plan_runs
from batchpool.ledger.comparisons import ComparisonEntry
from batchpool.model import TERMINAL_STATES
from batchpool.timestamps import rfc3339

FORMATS = ("markdown", "csv", "hyperfine")
_HIDDEN = ("count", "solo")
"""What the driver needs of a spec, and the API has elsewhere or keeps to itself."""
_ANALYSIS = ("arms", "aa", "guard", "warnings", "grid", "model", "statistics")


def show_comparison(entry: ComparisonEntry, now_ms: int) -> dict[str, Any]:
    """The comparison as `GET /v1/comparisons/{id}` answers it; no verdict before its end."""
    analysis = entry.analysis or {}
    return show_comparison_summary(entry, now_ms) | {
        **{name: analysis.get(name) for name in _ANALYSIS},
        "conclusion": analysis.get("conclusion") or _in_place_of_conclusion(entry),
        "environment": entry.environment,
        "samples": entry.samples,
        "links": _links(entry),
    }


def show_comparison_summary(entry: ComparisonEntry, now_ms: int) -> dict[str, Any]:
    """The comparison as it stands in a list and in events."""
    return {
        "id": entry.id,
        "state": entry.state,
        "spec": {name: value for name, value in entry.spec.items() if name not in _HIDDEN},
        "progress": _progress(entry),
        "timing": _timing(entry, now_ms),
        "error": entry.error,
        "links": {"self": f"/v1/comparisons/{entry.id}"},
    }


def _progress(entry: ComparisonEntry) -> dict[str, Any]:
    plan = plan_runs(entry.spec)
    run = plan[entry.position] if entry.position < len(plan) else None
    runs_now = run is not None and entry.state not in TERMINAL_STATES
    return {
        "runs": len(plan),
        "done": min(entry.position, len(plan)),
        "kind": run.kind if run and runs_now else None,
        "round": run.round if run and runs_now else None,
        "rounds": entry.spec["rounds"],
        "arm": arm_name(entry.spec, run.arm) if run and runs_now else None,
        "attempt": entry.attempt if runs_now else None,
        "job": entry.job_id,
        "disturbed": entry.notes.get("disturbed", 0),
        "failed_arms": {
            arm_name(entry.spec, int(arm)): why
            for arm, why in entry.notes.get("failed", {}).items()
        },
        "waits_for": _waits_for(entry),
    }


def _waits_for(entry: ComparisonEntry) -> str | None:
    if entry.state == "queued":
        return "its turn"
    if entry.state != "running" or entry.job_id is not None:
        return None
    waits_for: str | None = entry.notes.get("waits_for")
    return waits_for


def _timing(entry: ComparisonEntry, now_ms: int) -> dict[str, Any]:
    end_ms = entry.finished_ms or now_ms
    return {
        "submitted_at": rfc3339(entry.submitted_ms),
        "started_at": rfc3339(entry.started_ms),
        "finished_at": rfc3339(entry.finished_ms),
        "queue_s": max(0, (entry.started_ms or end_ms) - entry.submitted_ms) / 1000,
        "wall_s": max(0, end_ms - entry.started_ms) / 1000 if entry.started_ms else None,
    }


def _in_place_of_conclusion(entry: ComparisonEntry) -> list[str] | None:
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

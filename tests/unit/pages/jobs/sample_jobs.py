"""Jobs as the API shows them, for tests of views."""

from typing import Any

from batchpool.schemas.job_responses import Batch, EpochInfo, Job, Progress, Spec, Timing

ID = "0123456789abcdef01234567"


def progress(**counts: int) -> Progress:
    zero = dict.fromkeys(Progress.model_fields, 0)
    return Progress.model_validate(zero | counts)


def spec(**changes: Any) -> Spec:
    plain = {
        "task": "invoices",
        "params": {},
        "items": {"count": 420, "sha256": "", "first": list(range(10))},
        "backend": "process-pool",
        "concurrency": 3,
        "batches": 1,
        "dispatch": "map",
        "chunksize": None,
        "start_method": "forkserver",
        "pool": "warm",
        "shared_sum": "none",
        "task_timeout_s": None,
        "timeout_s": 3600,
        "queue_timeout_s": 86400,
        "retries": 0,
        "on_error": "continue",
        "labels": {},
    }
    return Spec.model_validate(plain | changes)


def epoch(worker: str, pid: int, began: str, ended: str | None, reason: str | None) -> EpochInfo:
    return EpochInfo(
        worker=worker,
        host="box",
        pid=pid,
        ppid=1,
        python="3.11",
        gil=True,
        started_at=f"2026-11-26T12:00:{began}Z",
        ended_at=f"2026-11-26T12:00:{ended}Z" if ended else None,
        end_reason=reason,
    )


def batch(state: str = "running", **changes: Any) -> Batch:
    plain = dict.fromkeys(Batch.model_fields) | {
        "index": 0,
        "state": state,
        "first": 0,
        "items": 420,
        "progress": progress(total=420, pending=420),
        "lost_workers": 0,
        "refused_writes": 0,
        "leftovers": [],
        "epochs": [],
    }
    return Batch.model_validate(plain | changes)


def timing(wall_s: float | None, queue_s: float) -> Timing:
    plain = dict.fromkeys(Timing.model_fields) | {
        "submitted_at": "2026-11-26T12:00:00.000Z",
        "queue_s": queue_s,
        "wall_s": wall_s,
        "task_wall_s": 0.0,
        "task_cpu_s": 0.0,
    }
    return Timing.model_validate(plain)


def job(
    state: str = "running",
    done: int = 0,
    failed: int = 0,
    total: int = 420,
    wall_s: float | None = None,
    **changes: Any,
) -> Job:
    """A job of one batch, of whose `done` items `failed` have failed.

    Args:
        changes: fields of the job; `waits` has code and text of what it waits for.
    """
    is_open = state in ("running", "queued")
    counts = {"succeeded": done - failed, "failed": failed}
    counts |= {"pending" if is_open else "cancelled": total - done}
    found = progress(total=total, **counts)
    code, text = changes.pop("waits", ("", ""))
    plain = {
        "id": ID,
        "state": state,
        "waiting_for": {"code": code, "text": text} if code else None,
        "spec": spec(**changes.pop("spec", {})),
        "progress": found,
        "sum": None,
        "sum_text": None,
        "shared_sum": None,
        "timing": timing(wall_s, changes.pop("queue_s", 0.0)),
        "error": None,
        "links": {},
        "pids": [],
        "pids_total": 0,
        "workers": [],
        "workers_total": 0,
        "batches": [batch(state, progress=found)],
    }
    return Job.model_validate(plain | changes)

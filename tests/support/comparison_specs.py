"""Complete specs and samples of comparisons, for tests that write them into a ledger."""

from typing import Any

from batchpool.ledger.values.comparison_entries import ArmSpec, ComparisonSpec, Sample
from batchpool.ledger.values.job_spec import ItemsSummary

ARMS = (
    ArmSpec(name="sequential", backend="sequential", concurrency=1, batches=1),
    ArmSpec(name="thread-pool 4", backend="thread-pool", concurrency=4, batches=1),
)


def comparison_spec(task: str = "echo", **changes: Any) -> ComparisonSpec:
    """The spec of a comparison of two arms, but for `changes`."""
    fields: dict[str, Any] = {
        "params": {},
        "count": 2,
        "items": ItemsSummary(2, "", []),
        "arms": ARMS,
        "baseline": ARMS[0],
        "reference": 0,
        "rounds": 6,
        "warmup": 1,
        "seed": 1,
        "min_effect": 0.03,
        "timeout_s": 60.0,
        "labels": {},
    }
    return ComparisonSpec(task=task, **fields | changes)


def sample(run: int = 0, **changes: Any) -> Sample:
    """An undisturbed run without facts, but for `changes`."""
    fields: dict[str, Any] = {
        "kind": "sample",
        "arm": 0,
        "round": 1,
        "attempt": 1,
        "job_id": "0" * 24,
        "disturbed": None,
        "facts": None,
        "error": None,
        "took_s": 1.0,
    }
    return Sample(run=run, **fields | changes)

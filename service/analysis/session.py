"""One comparison as it was measured, and everything that can be said of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Session:
    """What was ordered, what was measured, and where.

    `samples`: {"arm", "round", "attempt", "run", "job_id", "disturbed": why or None,
    "facts": what `sample_facts` gave or None, "error": text or None}; the arm with the
    number len(spec["arms"]) is the hidden copy of the reference.
    """

    spec: Mapping[str, Any]
    samples: Sequence[Mapping[str, Any]]
    environment: Mapping[str, Any]


def analyse(session: Session) -> dict[str, Any]:
    """Arms with their verdicts, the A/A check, guard, grid, model, warnings and conclusion."""
    return {
        "arms": [],
        "aa": None,
        "guard": [],
        "grid": None,
        "model": None,
        "warnings": [],
        "conclusion": [],
    }

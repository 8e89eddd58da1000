"""Why a speedup of computing tasks means nothing: the machine was busy; pure."""

from collections.abc import Sequence
from typing import Protocol

GAIN = 1.25
"""Less than this is not called a gain: one run on a busy machine wobbles by as much."""

# One way's speedup differs by more from round to round: the machine, not the way.
_DISAGREEING = 1.3
_BUSY_CPUS = 0.5


class MeasuredWay(Protocol):
    """One way to run the tasks, measured against the sequential one in the same rounds."""

    @property
    def way(self) -> str:
        """Its name; one that begins with `thread` runs threads."""

    @property
    def faster(self) -> bool:
        """Whether it was clearly faster than the sequential way."""

    @property
    def round_speedups(self) -> tuple[float, ...]:
        """Its speedup in each round; empty where that is not known."""


def doubts_about(
    ways: Sequence[MeasuredWay], *, others_cpus: float, spare_cpus: float, gil: bool
) -> tuple[str, ...]:
    """Return why the speedups of computing tasks mean nothing; empty on a quiet machine.

    Args:
        ways: at least one.
        others_cpus: how many CPUs other programs used meanwhile.
        spare_cpus: how many CPUs were left, beyond what the tasks need.
    """
    doubts = []
    if others_cpus > _BUSY_CPUS and spare_cpus < 1:
        doubts.append(f"other programs used {others_cpus:.1f} CPUs")
    worst = max(ways, key=_spread)
    if _spread(worst) > _DISAGREEING:
        span = span_of(worst.round_speedups, "")
        doubts.append(f"the speedup of {worst.way} was {span} from round to round")
    faster = [each.way for each in ways if each.way.startswith("thread") and each.faster]
    if gil and faster:
        # It rules a gain out: the sequential runs must have been slowed down.
        doubts.append(f"{', '.join(faster)} computed faster than the GIL allows")
    return tuple(doubts)


def _spread(way: MeasuredWay) -> float:
    return max(way.round_speedups) / min(way.round_speedups) if way.round_speedups else 1.0


def span_of(values: Sequence[float], unit: str) -> str:
    """`1.4 to 2.1 s`; one value where both ends look the same."""
    low, high = min(values), max(values)
    if f"{low:.1f}" == f"{high:.1f}":
        return f"{low:.1f}{unit}"
    return f"{low:.1f} to {high:.1f}{unit}"

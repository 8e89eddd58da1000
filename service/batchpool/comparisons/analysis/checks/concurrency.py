"""Each arm ran as it was ordered: as many tasks in flight, and pools as warm."""

from collections.abc import Iterator
from statistics import median

from batchpool.comparisons.analysis.arm_samples import Arm, Facts
from batchpool.comparisons.analysis.checks.base import CheckInput, Finding, format_rounds

_THREAD_STARTS_S = 0.005
_PROCESS_STARTS_S = 0.05
_FRESH_POOL_STARTS_S = 0.25


def check_concurrency(case: CheckInput) -> Iterator[Finding]:
    """Fewer or more tasks in flight than ordered.

    With tasks so short that one may end before the next lane has started, fewer are only a
    warning.
    """
    for arm in case.all_arms:
        expected = _expected(case, arm)
        wrong = [
            key
            for key, facts in sorted(arm.runs.items())
            if sorted(facts["effective_concurrency"], key=str) != sorted(expected, key=str)
        ]
        if wrong:
            found = arm.runs[wrong[0]]["effective_concurrency"]
            message = f"{arm.name}: concurrency {found} in {format_rounds(wrong)}, not {expected}"
            yield Finding("concurrency", message, case.affected_arm(arm))
            continue
        reached = arm.values_of("max_in_flight")
        if reached and max(reached) > sum(expected):
            message = f"{arm.name}: {max(reached)} tasks in flight, not {sum(expected)}"
            yield Finding("concurrency", message, case.affected_arm(arm))
        elif reached and median(reached) < sum(expected):
            yield _not_reached(case, arm, min(reached), sum(expected))


def _not_reached(case: CheckInput, arm: Arm, reached: int, expected: int) -> Finding:
    message = f"{arm.name}: at most {reached} tasks were in flight, not {expected}"
    could = (arm.median_of("per_task", "wall") or 0.0) >= _start_s(arm) * expected
    if could:
        return Finding("concurrency", message, case.affected_arm(arm))
    return Finding("concurrency", f"{message}: they are too short for more", arm.index, "warning")


def _start_s(arm: Arm) -> float:
    """What a lane may take to start on a busy machine."""
    if arm.backend.slot_kind in ("threads", "coroutines", "one"):
        return _THREAD_STARTS_S
    warm = arm.spec["pool"] == "warm" or not arm.backend.warm
    return _PROCESS_STARTS_S if warm else _FRESH_POOL_STARTS_S


def _expected(case: CheckInput, arm: Arm) -> list[int]:
    """The concurrency of each batch: never more than it has items, or chunks of them."""
    batches = arm.spec["batches"] or 1
    share, more = divmod(case.items, batches)
    sizes = [share + 1] * more + [share] * (batches - more)
    if arm.backend.slot_kind == "one":
        return [1] * batches
    chunk = arm.spec.get("chunksize")
    if chunk and arm.spec.get("dispatch") == "map":
        sizes = [-(-size // chunk) for size in sizes]
    return [max(1, min(arm.spec["concurrency"], size)) for size in sizes]


def check_pools(case: CheckInput) -> Iterator[Finding]:
    """Warm and fresh pools in one arm, others than ordered, or another start method."""
    for arm in case.all_arms:
        for name, words in (("pool", "pool"), ("start_method", "start method")):
            seen = {kind for kinds in arm.values_of(name) for kind in kinds}
            asked = arm.spec.get(name)
            if len(seen) > 1:
                message = f"{arm.name}: {' and '.join(sorted(map(str, seen)))} {words}s are mixed"
                yield Finding(name, message, case.affected_arm(arm))
            elif asked is not None and _has(arm, name) and seen and seen != {asked}:
                message = f"{arm.name}: the {words} was {seen.pop()}, not {asked}"
                yield Finding(name, message, case.affected_arm(arm))


def _has(arm: Arm, name: str) -> bool:
    return arm.backend.warm if name == "pool" else arm.backend.start_method


def total_concurrency(facts: Facts) -> int:
    """The lanes of a run, over all batches."""
    return sum(lanes or 1 for lanes in facts["effective_concurrency"])

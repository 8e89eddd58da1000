"""Each arm ran with the concurrency, the pool and the start method that were requested."""

from collections.abc import Iterator
from statistics import median

from batchpool.comparisons.analysis.arm_samples import Arm
from batchpool.comparisons.analysis.checks.base import CheckInput, Finding, format_rounds
from batchpool.ledger.values.comparison_entries import RunFacts

_THREAD_STARTS_S = 0.005
_PROCESS_STARTS_S = 0.05
_FRESH_POOL_STARTS_S = 0.25


def check_concurrency(data: CheckInput) -> Iterator[Finding]:
    """Find runs with fewer or more tasks in flight than requested.

    Fewer are only a warning when the tasks are so short that one may end before the next slot
    has started.
    """
    for arm in data.all_arms:
        expected = _expected(data, arm)
        wrong = [
            round_
            for round_, facts in sorted(arm.runs.items())
            if sorted(facts.effective_concurrency, key=str) != sorted(expected, key=str)
        ]
        if wrong:
            found = arm.runs[wrong[0]].effective_concurrency
            message = (
                f"{arm.name}: the concurrency was {found} in {format_rounds(wrong)}, "
                f"{expected} was requested"
            )
            yield Finding("concurrency", message, data.affected_arm(arm))
            continue
        reached = arm.values_of(lambda facts: facts.max_in_flight)
        if reached and max(reached) > sum(expected):
            message = _in_flight(arm, max(reached), sum(expected))
            yield Finding("concurrency", message, data.affected_arm(arm))
        elif reached and median(reached) < sum(expected):
            yield _not_reached(data, arm, min(reached), sum(expected))


def _not_reached(data: CheckInput, arm: Arm, reached: int, expected: int) -> Finding:
    message = _in_flight(arm, reached, expected)
    task_s = arm.median_of(lambda facts: facts.per_task.wall) or 0.0
    if task_s >= _start_s(arm) * expected:
        return Finding("concurrency", message, data.affected_arm(arm))
    return Finding("concurrency", f"{message}; the tasks are too short", arm.index, "warning")


def _in_flight(arm: Arm, reached: int, expected: int) -> str:
    return f"{arm.name}: tasks in flight reached {reached}; {expected} were requested"


def _start_s(arm: Arm) -> float:
    """The time that a slot may take to start on a busy machine."""
    if arm.backend.slot_kind in ("threads", "coroutines", "one"):
        return _THREAD_STARTS_S
    warm = arm.spec.pool == "warm" or not arm.backend.warm
    return _PROCESS_STARTS_S if warm else _FRESH_POOL_STARTS_S


def _expected(data: CheckInput, arm: Arm) -> list[int]:
    """The concurrency of each batch: never more than it has items, or chunks of them."""
    batches = arm.spec.batches
    share, more = divmod(data.items, batches)
    sizes = [share + 1] * more + [share] * (batches - more)
    if arm.backend.slot_kind == "one":
        return [1] * batches
    chunk = arm.spec.chunksize
    if chunk and arm.spec.dispatch == "map":
        sizes = [-(-size // chunk) for size in sizes]
    return [max(1, min(arm.spec.concurrency, size)) for size in sizes]


def check_pools(data: CheckInput) -> Iterator[Finding]:
    """Find mixed pools in one arm, and pools or start methods that differ from its spec."""
    for arm in data.all_arms:
        pools = {pool for run in arm.values_of(lambda facts: facts.pool) for pool in run}
        asked = arm.spec.pool if arm.backend.warm else None
        yield from _check_option(data, arm, "pool", pools, asked)
        methods = {m for run in arm.values_of(lambda facts: facts.start_method) for m in run}
        asked = arm.spec.start_method if arm.backend.start_method else None
        yield from _check_option(data, arm, "start_method", methods, asked)


def _check_option(
    data: CheckInput, arm: Arm, kind: str, seen: set[str | None], asked: str | None
) -> Iterator[Finding]:
    words = kind.replace("_", " ")
    if len(seen) > 1:
        message = f"{arm.name}: {' and '.join(sorted(map(str, seen)))} {words}s are mixed"
        yield Finding(kind, message, data.affected_arm(arm))
    elif asked is not None and seen and seen != {asked}:
        message = f"{arm.name}: the {words} was {seen.pop()}, {asked} was requested"
        yield Finding(kind, message, data.affected_arm(arm))


def total_concurrency(facts: RunFacts) -> int:
    """The slots of a run, over all batches."""
    return sum(slots or 1 for slots in facts.effective_concurrency)

"""Explain why concurrency helped or did not, by CPU share, waiting and contention."""

from collections.abc import Sequence
from math import inf
from statistics import median

from batchpool.comparisons.analysis.arm_samples import Arm
from batchpool.comparisons.analysis.checks import CheckInput
from batchpool.schemas.comparison_responses import ArmResult

_MOSTLY = 0.5
_ONE_CPU = 1.25
_ENOUGH_CPUS = 1.5
_FULL = 0.85


def explain(data: CheckInput, results: Sequence[ArmResult]) -> str:
    """One sentence; empty where the measurements do not support one."""
    share = cpu_share(data)
    if share is None:
        return ""
    limited = [arm for arm in data.arms if is_held_by_gil(data, arm)]
    if limited:
        return _gil_sentence(results, limited, share)
    if share < _MOSTLY:
        return (
            f"The reason: run alone, a task waits for {1 - share:.0%} of its time, "
            "and tasks in flight wait at the same time."
        )
    full = [arm for arm in data.arms if _fills_cpus(arm)]
    if full:
        return (
            f"The reason: run alone, a task computes for {share:.0%} of its time, and "
            f"{full[0].name} keeps {_busy_cpus(full[0]):.1f} of {_cpus(full[0]):g} CPUs busy."
        )
    return ""


def _gil_sentence(results: Sequence[ArmResult], limited: Sequence[Arm], share: float) -> str:
    worst = max(limited, key=lambda arm: _contention_share(arm) or 0.0)
    names = " and ".join(arm.name for arm in limited)
    best = fastest(results)
    other = f", and not {best.name}" if best and _has_own_interpreters(best) else ""
    return (
        f"The GIL limits {names}{other}: run alone, a task computes for {share:.0%} of its "
        f"time, but under {worst.name} contention takes {_contention_share(worst):.0%} of it, "
        f"while {_busy_cpus(worst):.1f} of {_cpus(worst):g} CPUs are busy."
    )


def _has_own_interpreters(result: ArmResult) -> bool:
    return result.spec.backend in ("multiprocessing", "process-pool", "interpreter-pool")


def cpu_share(data: CheckInput) -> float | None:
    """CPU time / wall time of the tasks when they run alone."""
    found = [facts.alone_s for arm in data.arms for facts in arm.runs.values()]
    shares = [alone.cpu / alone.wall for alone in found if alone and alone.wall > 0]
    return median(shares) if shares else None


def fastest(results: Sequence[ArmResult]) -> ArmResult | None:
    """The fastest of the arms with the verdict `faster`."""
    faster = [result for result in results if result.verdict == "faster"]
    return min(faster, key=lambda result: result.ratio.value if result.ratio else inf, default=None)


def is_held_by_gil(data: CheckInput, arm: Arm) -> bool:
    """Whether the measurements show that the tasks of this arm waited for the GIL."""
    share, contention = cpu_share(data), _contention_share(arm)
    if share is None or contention is None or arm.backend.slot_kind != "threads":
        return False
    batches = arm.spec.batches
    in_flight = arm.median_of(lambda facts: facts.max_in_flight) or 1
    # Of n tasks that take turns on one GIL, each waits for 1 - 1/n of its time.
    expected = 1 - min(1.0, batches / in_flight)
    every_run_had_a_gil = all(states == [True] for states in arm.values_of(lambda f: f.gil))
    tasks_compute = share >= _MOSTLY
    tasks_share_an_interpreter = in_flight > batches
    tasks_have_contention = contention >= _MOSTLY * expected
    one_cpu_is_busy = _busy_cpus(arm) <= _ONE_CPU * batches
    more_cpus_are_free = _cpus(arm) >= _ENOUGH_CPUS * batches
    return (
        every_run_had_a_gil
        and tasks_compute
        and tasks_share_an_interpreter
        and tasks_have_contention
        and one_cpu_is_busy
        and more_cpus_are_free
    )


def _contention_share(arm: Arm) -> float | None:
    """Contention / wall time of the typical task."""
    wall_s = arm.median_of(lambda facts: facts.per_task.wall)
    contention_s = arm.median_of(lambda facts: facts.per_task.contention)
    return None if not wall_s or contention_s is None else contention_s / wall_s


def _cpus(arm: Arm) -> float:
    return arm.median_of(lambda facts: facts.cpus) or 0.0


def _busy_cpus(arm: Arm) -> float:
    """How many CPUs the tasks kept busy on average."""
    found = [facts.task_cpu_s / facts.wall_s for facts in arm.runs.values() if facts.wall_s > 0]
    return median(found) if found else 0.0


def _fills_cpus(arm: Arm) -> bool:
    cpus = _cpus(arm)
    return cpus > 1 and _busy_cpus(arm) >= _FULL * cpus

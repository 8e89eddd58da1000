"""Why concurrency helped or did not, where CPU share, waiting and contention say so."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from batchpool.comparisons.analysis.arm_samples import Arm
from batchpool.comparisons.analysis.checks import CheckInput

_MOSTLY = 0.5
_ONE_CPU = 1.25
_ENOUGH_CPUS = 1.5
_FULL = 0.85
Shown = Mapping[str, Any]


def explain(case: CheckInput, arms: Sequence[Shown]) -> str:
    """One sentence; empty where the measurements do not carry one."""
    share = cpu_share(case)
    if share is None:
        return ""
    held = [arm for arm in case.arms if is_held_by_gil(case, arm)]
    if held:
        return _gil_sentence(arms, held, share)
    if share < _MOSTLY:
        return (
            f"The reason: run alone, a task waits for {1 - share:.0%} of its time, "
            "and tasks in flight wait at the same time."
        )
    full = [arm for arm in case.arms if _fills_cpus(arm)]
    if full:
        cpus = full[0].median_of("cpus")
        return (
            f"The reason: run alone, a task computes for {share:.0%} of its time, and "
            f"{full[0].name} keeps {_busy(full[0]):.1f} of {cpus:g} CPUs busy."
        )
    return ""


def _gil_sentence(arms: Sequence[Shown], held: Sequence[Arm], share: float) -> str:
    worst = max(held, key=lambda arm: _held_share(arm) or 0.0)
    names = " and ".join(arm.name for arm in held)
    spread = [arm for arm in arms if arm["verdict"] == "faster"]
    best = min(spread, key=lambda arm: float(arm["ratio"]["value"])) if spread else None
    other = f", and not {best['name']}" if best and _is_apart(best) else ""
    return (
        f"The GIL holds {names} back{other}: run alone, a task computes for {share:.0%} of its "
        f"time, but under {worst.name} it was held up for {_held_share(worst):.0%} of it, "
        f"while {_busy(worst):.1f} of {worst.median_of('cpus'):g} CPUs were busy."
    )


def _is_apart(arm: Shown) -> bool:
    return arm["spec"]["backend"] in ("multiprocessing", "process-pool", "interpreter-pool")


def cpu_share(case: CheckInput) -> float | None:
    """CPU time / wall time of the tasks when they run alone."""
    found = [facts.get("alone_s") for arm in case.arms for facts in arm.runs.values()]
    shares = [alone["cpu"] / alone["wall"] for alone in found if alone and alone["wall"] > 0]
    return median(shares) if shares else None


def is_held_by_gil(case: CheckInput, arm: Arm) -> bool:
    """Whether the measurements name the GIL as what held this arm's tasks up.

    Threads of one interpreter that has a GIL, tasks that compute when alone, held up for most
    of what n tasks that take turns are, and no more than one CPU busy although there are more.
    """
    lanes = arm.median_of("max_in_flight") or 1
    batches = int(arm.spec["batches"] or 1)
    share, held, cpus = cpu_share(case), _held_share(arm), arm.median_of("cpus")
    if share is None or held is None or cpus is None or arm.backend.slot_kind != "threads":
        return False
    turns = 1 - min(1.0, batches / lanes)
    return (
        all(True in states and False not in states for states in arm.values_of("gil"))
        and share >= _MOSTLY
        and lanes > batches
        and held >= _MOSTLY * turns
        and _busy(arm) <= _ONE_CPU * batches
        and cpus >= _ENOUGH_CPUS * batches
    )


def _held_share(arm: Arm) -> float | None:
    """Contention / wall time of the typical task."""
    wall_s, held_s = arm.median_of("per_task", "wall"), arm.median_of("per_task", "contention")
    return None if not wall_s or held_s is None else held_s / wall_s


def _busy(arm: Arm) -> float:
    """How many CPUs the tasks kept busy on average."""
    found = [
        facts["task_cpu_s"] / facts["wall_s"] for facts in arm.runs.values() if facts["wall_s"] > 0
    ]
    return median(found) if found else 0.0


def _fills_cpus(arm: Arm) -> bool:
    cpus = arm.median_of("cpus")
    return cpus is not None and cpus > 1 and _busy(arm) >= _FULL * cpus

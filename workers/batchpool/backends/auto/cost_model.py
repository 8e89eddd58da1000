"""Choose how to run a task: predict the time of each way from its measured profile.

With R items left, a task of wall time w and CPU time c, and P CPUs:

    sequential    R w
    thread-pool   R max(w / n, c / T)    T: CPUs that threads keep busy, 1 under the GIL
    asyncio       R max(w / n, c)        only for what waits: a loop has one thread
    process-pool  S + R max(w / n, c / P, x)  S: start-up; x: what handing an item over costs

n is as many slots as keep the CPUs busy, or the waiting tasks in flight, and `most` at most. Each
way costs some microseconds per item besides. The simplest that is nearly the fastest wins.

A task that waits, and of which none has ended, may compute yet: until one has, a few are begun in
the children of a pool that is warm, where they are not in each other's way if they do. Where tasks
differ, what is measured says little of the next one: a warm pool is preferred, since threads that
all compute would share one GIL.
"""

from dataclasses import dataclass, replace
from math import ceil

from batchpool.backends.auto.task_profile import TaskProfile

_NEARLY = 1.05
_NEARLY_IF_UNEVEN = 1.25
"""Tasks that differ run in a warm pool at this price: its worst case is better."""
_KNOWN_FROM = 8
"""After fewer tasks than this it is not known whether they differ."""
_SLACK = 2.0
"""Slots per CPU for tasks that wait in between: with one, a CPU idles when waits coincide."""
_POOL_PER_CPU = 4
_ITEM_S = 5e-6
_THREAD_ITEM_S = 20e-6
_LOOP_ITEM_S = 14e-6
_CHILD_ITEM_S = 40e-6
_HANDOVER_S = 25e-6
_CHUNK_S = 0.01
_MOST_CHUNK = 256


@dataclass(frozen=True)
class Constraints:
    """Where and for how many items a choice is made."""

    left: int
    cpus: int
    most: int
    """Tasks in flight at most."""
    pool_startup_s: float
    """How long a new process pool takes to start."""
    warm_children: int = 0
    """Children of the warm pool, which starts at once."""
    has_sync: bool = True
    has_async: bool = False
    has_gil: bool = True
    only_waits: bool = False
    """The task is declared to wait for others, and to compute nothing."""

    def may_compute_yet(self, profile: TaskProfile) -> bool:
        """Whether only the beginning of a task is known, in which it waited."""
        return profile.tasks == 0 and profile.waits and not self.only_waits

    def may_change(self, profile: TaskProfile) -> bool:
        """Whether later tasks could compute where these waited, or more than these did."""
        return (profile.waits or profile.is_uneven) and not self.only_waits and self.most > 1


@dataclass(frozen=True)
class BackendChoice:
    """A way to run what is left; `seconds` is the expected time, a lower bound."""

    backend: str
    concurrency: int
    seconds: float
    why: str
    chunksize: int | None = None


def choose_without_probe(constraints: Constraints) -> BackendChoice | None:
    """The only possible choice, or None if the task must be profiled first."""
    slots = max(1, min(constraints.most, constraints.left))
    if not constraints.has_sync:
        why = "the task has an async form only"
        return BackendChoice("asyncio", slots, 0.0, why)
    if slots == 1:
        what = "one item" if constraints.left == 1 else "one task in flight at most"
        return BackendChoice("sequential", 1, 0.0, f"{what}: nothing can run beside it")
    return None


def choose(profile: TaskProfile, constraints: Constraints) -> BackendChoice:
    """The simplest of the choices that are nearly as fast as the fastest."""
    if constraints.warm_children and constraints.may_compute_yet(profile):
        return _warm_pool_until_known(profile, constraints)
    known = ways(profile, constraints)
    fastest = min(way.seconds for way in known)
    factor = _NEARLY_IF_UNEVEN if profile.is_uneven else _NEARLY
    nearly = [way for way in known if way.seconds <= fastest * factor]
    simplest = next(way for way in nearly if way.seconds <= fastest * _NEARLY)
    if constraints.may_change(profile) and nearly[-1].concurrency <= constraints.warm_children:
        simplest = nearly[-1]
    return _with_all_children(simplest, profile, constraints)


def ways(profile: TaskProfile, constraints: Constraints) -> list[BackendChoice]:
    """How the rest could run, the simplest way first."""
    has_loop = profile.waits and constraints.has_async
    beside = _asyncio if has_loop else _threads
    found = [_sequential(profile, constraints), beside(profile, constraints)]
    return found + _processes(profile, constraints)


def thread_cpus(profile: TaskProfile, constraints: Constraints) -> float:
    """How many CPUs threads of this task can keep busy."""
    if profile.busy is None and not constraints.has_gil:
        return float(constraints.cpus)
    return profile.thread_cpus(constraints.cpus)


def _slots(profile: TaskProfile, constraints: Constraints, cpus: float, item_s: float) -> int:
    """As many as keep `cpus` busy, with some to spare where tasks wait in between."""
    if profile.is_saturated:
        wanted = ceil(cpus)
    else:
        task_s = profile.task_cpu_s + item_s
        wanted = ceil(_SLACK * cpus * profile.task_wall_s / task_s)
    return max(1, min(constraints.most, constraints.left, max(wanted, ceil(cpus))))


def _warm_pool_until_known(profile: TaskProfile, constraints: Constraints) -> BackendChoice:
    slots = max(1, min(constraints.most, constraints.left, constraints.warm_children))
    why = (
        f"{_task(profile)}, and none has ended: should it compute yet, "
        f"{constraints.warm_children} processes are there that share no GIL"
    )
    return BackendChoice("process-pool", slots, 0.0, why, chunksize=1)


def _sequential(profile: TaskProfile, constraints: Constraints) -> BackendChoice:
    why = (
        f"{_task(profile)}: {_left(constraints)} take less than starting anything beside them would"
    )
    return BackendChoice("sequential", 1, constraints.left * (profile.task_wall_s + _ITEM_S), why)


def _threads(profile: TaskProfile, constraints: Constraints) -> BackendChoice:
    cpus = thread_cpus(profile, constraints)
    slots = _slots(profile, constraints, cpus, _THREAD_ITEM_S)
    each_s = max(profile.task_wall_s / slots, (profile.task_cpu_s + _THREAD_ITEM_S) / cpus)
    if profile.waits:
        why = f"{_task(profile)}: it waits, and waiting threads cost nothing"
    else:
        why = f"{_task(profile)}; {_busy(profile)}: threads keep {cpus:g} CPUs busy"
    return BackendChoice("thread-pool", slots, constraints.left * each_s, why)


def _asyncio(profile: TaskProfile, constraints: Constraints) -> BackendChoice:
    slots = max(1, min(constraints.most, constraints.left))
    each_s = max(profile.task_wall_s / slots, profile.task_cpu_s + _LOOP_ITEM_S)
    why = f"{_task(profile)}: it waits and has an async form, and coroutines wait at the least cost"
    return BackendChoice("asyncio", slots, constraints.left * each_s, why)


def _processes(profile: TaskProfile, constraints: Constraints) -> list[BackendChoice]:
    """With as many slots as can be used, and with the warm children that start at once."""
    cpus = constraints.cpus
    slots = min(_slots(profile, constraints, cpus, _CHILD_ITEM_S), _POOL_PER_CPU * cpus)
    warm = constraints.warm_children
    if 0 < warm < slots:
        return [_pool(profile, constraints, size) for size in (warm, slots)]
    return [_pool(profile, constraints, slots)]


def _pool(profile: TaskProfile, constraints: Constraints, slots: int) -> BackendChoice:
    cpus = constraints.cpus
    startup_s = 0.0 if slots <= constraints.warm_children else constraints.pool_startup_s
    handover_s = _HANDOVER_S + profile.pickle_s
    own_s = _CHILD_ITEM_S + profile.pickle_s
    each_s = max(
        (profile.task_wall_s + own_s) / slots,
        (profile.task_cpu_s + own_s + handover_s) / cpus,
        handover_s,
    )
    why = (
        f"{_task(profile)}; {_busy(profile)}: "
        f"processes use {cpus} CPUs; handing an item over costs {_ms(handover_s)}"
    )
    seconds = startup_s + constraints.left * each_s
    return BackendChoice("process-pool", slots, seconds, why, chunk_of(profile))


def chunk_of(profile: TaskProfile) -> int:
    """How many items the first chunks hold: what takes a child about 10 ms."""
    return max(1, min(_MOST_CHUNK, int(_CHUNK_S / max(profile.task_wall_s, 1e-6))))


def _task(profile: TaskProfile) -> str:
    over = "" if profile.tasks else "over "
    return f"{over}{_ms(profile.task_wall_s)} per task, {profile.cpu_share:.0%} CPU"


def _busy(profile: TaskProfile) -> str:
    if profile.holds_gil:
        return f"it keeps the GIL from others for {profile.gil_share:.0%} of its CPU time"
    if profile.busy is None:
        return "no time to try threads"
    return f"{profile.threads} threads kept {profile.busy:.2f} CPUs busy"


def _left(constraints: Constraints) -> str:
    return "1 item" if constraints.left == 1 else f"{constraints.left} items"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _with_all_children(
    choice: BackendChoice, profile: TaskProfile, constraints: Constraints
) -> BackendChoice:
    """The same with all children of a warm pool, where some tasks may wait longer than others."""
    most = min(constraints.warm_children, _POOL_PER_CPU * constraints.cpus)
    slots = min(constraints.most, constraints.left, most)
    is_known = profile.tasks >= _KNOWN_FROM
    if is_known and not profile.is_uneven:
        return choice
    if choice.backend != "process-pool" or slots <= choice.concurrency:
        return choice
    differ = "tasks differ" if profile.is_uneven else "later tasks may differ"
    why = f"{choice.why}; {differ}, so all {slots} warm processes are used"
    return replace(choice, concurrency=slots, why=why)

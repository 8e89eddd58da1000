"""Choose how to run a task: predict the time of each way from its measured profile.

With R items left, a task of wall time w and CPU time c, and P CPUs:

    sequential    R w
    thread-pool   R max(w / n, c / T)    T: CPUs that threads keep busy, 1 under the GIL
    asyncio       R max(w / n, c)        only for what waits: a loop has one thread
    process-pool  S + R max(w / n, c / P, x)  S: start-up; x: what handing an item over costs

n is as many slots as keep the CPUs busy, or the waiting tasks in flight, and `most` at most. Each
way costs some microseconds per item besides. The simplest that is nearly the fastest wins.

A task that waits, and of which none has ended, may compute yet: until one has, a few are begun in
the children of a pool that is warm, where they are not in each other's way if they do.
"""

from dataclasses import asdict, dataclass, replace
from math import ceil

WAITS_BELOW = 0.1
"""A task with a smaller share of CPU in its wall time waits; it is not measured further."""
RELEASED_FROM = 1.25
"""Threads that keep more CPUs busy than this do not wait for one lock."""
_NEARLY = 1.05
SATURATED_FROM = 0.9
GIL_HELD_FROM = 0.8
"""A task that holds the GIL for this share of its CPU time leaves a second thread too little."""
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
class TaskProfile:
    """The measured profile of a task.

    Attributes:
        tasks: how many had ended; with 0 the times are those of a task so far, and no more than
            a lower bound.
        task_wall_s: of one task with no other beside it.
        task_cpu_s: of one task.
        busy_alone: CPUs that one thread kept busy, or could have; None if it was never alone.
        busy: CPUs that `threads` threads kept busy together; None where it was not measured.
        threads: how many.
        gil_held: share of the moments at which another thread asked for the GIL, while one task
            ran, and had to wait for it; None where nobody asked.
        pickle_s: to pickle and unpickle an item, and to pack a value.
    """

    tasks: int
    task_wall_s: float
    task_cpu_s: float
    busy_alone: float | None
    busy: float | None = None
    threads: int = 1
    pickle_s: float = 0.0
    gil_held: float | None = None

    @property
    def cpu_share(self) -> float:
        """CPU time to wall time of a task, at most 1."""
        return min(1.0, self.task_cpu_s / self.task_wall_s) if self.task_wall_s else 1.0

    @property
    def is_saturated(self) -> bool:
        """Whether a task computes all the time."""
        return max(self.busy_alone or 0.0, self.cpu_share) >= SATURATED_FROM

    @property
    def waits(self) -> bool:
        """Whether a task hardly computes."""
        return max(self.busy_alone or 0.0, self.cpu_share) < WAITS_BELOW

    @property
    def gil_share(self) -> float:
        """The share of its CPU time for which a task keeps the GIL; 0 where nobody asked."""
        return min(1.0, (self.gil_held or 0.0) / max(1e-6, self.busy_alone or 0.0))

    @property
    def holds_gil(self) -> bool:
        """Whether a second thread would only slow down the first."""
        return not self.waits and self.gil_share >= GIL_HELD_FROM

    @property
    def scaling(self) -> float | None:
        """CPUs that threads keep busy together to those of one; None where it is not known."""
        if self.busy is not None and self.busy_alone:
            return self.busy / self.busy_alone
        return 1 / self.gil_share if self.holds_gil else None

    def to_json(self) -> dict[str, float | int | None]:
        """The profile as the report shows it."""
        return asdict(self) | {"cpu_share": self.cpu_share, "scaling": self.scaling}

    def with_times(self, tasks: int, wall_s: float, cpu_s: float, beside: bool) -> "TaskProfile":
        """The same with the times of tasks that have ended since.

        Args:
            beside: whether they shared CPUs or the GIL, so that their wall time may be too long.
        """
        if beside and self.busy_alone is None:
            # The first tasks waited that long before they computed.
            wall_s = min(wall_s, self.task_wall_s + cpu_s)
        elif beside and self.busy_alone is not None and self.busy_alone >= WAITS_BELOW:
            wall_s = min(wall_s, cpu_s / min(1.0, self.busy_alone))
        alone = self.busy_alone
        if alone is not None and not beside:
            # Only now is it known what a task does after its beginning, or what later ones do.
            alone = min(1.0, cpu_s / max(wall_s, 1e-9))
        return replace(self, tasks=tasks, task_wall_s=wall_s, task_cpu_s=cpu_s, busy_alone=alone)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to be measured."""
        return self.tasks > 0 and (self.waits or self.holds_gil or self.busy is not None)


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
        """Whether later tasks could compute where these waited."""
        return profile.waits and not self.only_waits and self.most > 1


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
    nearly = [way for way in known if way.seconds <= fastest * _NEARLY]
    if constraints.may_change(profile) and nearly[-1].concurrency <= constraints.warm_children:
        return nearly[-1]
    return nearly[0]


def ways(profile: TaskProfile, constraints: Constraints) -> list[BackendChoice]:
    """How the rest could run, the simplest way first."""
    has_loop = profile.waits and constraints.has_async
    beside = _asyncio if has_loop else _threads
    found = [_sequential(profile, constraints), beside(profile, constraints)]
    return found + _processes(profile, constraints)


def thread_cpus(profile: TaskProfile, constraints: Constraints) -> float:
    """How many CPUs threads of this task can keep busy."""
    if profile.busy is None:
        return 1.0 if constraints.has_gil else float(constraints.cpus)
    return float(constraints.cpus) if profile.busy >= RELEASED_FROM else 1.0


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

"""Which way to run suits a task: decided from what was measured, by predicting each way's time.

With R items left, a task of wall time w and CPU time c, and P CPUs:

    sequential    R w
    thread-pool   R max(w / n, c / T)    T: CPUs that threads keep busy, 1 under the GIL
    asyncio       R max(w / n, c)        only for what waits: a loop has one thread
    process-pool  S + R max(w / n, c / P, x)  S: start-up; x: what handing an item over costs

n is as many lanes as keep the CPUs busy, or the waiting tasks in flight, and `most` at most. Each
way costs some microseconds per item besides. The simplest that is nearly the fastest wins.

A task that waits, and of which none has ended, may compute yet: until one has, a few are begun in
the children of a pool that is warm, where they are not in each other's way if they do.
"""

from dataclasses import asdict, dataclass, replace
from math import ceil

WAITS_BELOW = 0.1
"""A task with a smaller share of CPU in its wall time waits; it is not worth a second look."""
RELEASED_FROM = 1.25
"""Threads that keep more CPUs busy than this do not wait for one lock."""
_NEARLY = 1.05
SATURATED_FROM = 0.9
HELD_FROM = 0.8
"""Who keeps the GIL for this share of its CPU time leaves a second thread too little."""
_SLACK = 2.0
"""More lanes than CPUs where tasks wait in between: without, a CPU idles when waits coincide."""
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
    """What a probe saw.

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
        """Whether a second thread would only take from the first."""
        return not self.waits and self.gil_share >= HELD_FROM

    @property
    def scaling(self) -> float | None:
        """CPUs that threads keep busy together to those of one; None where it is not known."""
        if self.busy is not None and self.busy_alone:
            return self.busy / self.busy_alone
        return 1 / self.gil_share if self.holds_gil else None

    def show(self) -> dict[str, float | int | None]:
        """As a report has it."""
        return asdict(self) | {"cpu_share": self.cpu_share, "scaling": self.scaling}

    def with_times(self, tasks: int, wall_s: float, cpu_s: float, beside: bool) -> "TaskProfile":
        """The same with the times of tasks that have ended since.

        Args:
            beside: whether they shared CPUs or the GIL, so that their wall time may be too long.
        """
        if beside and self.busy_alone is None:
            # So long the first ones waited before they computed.
            wall_s = min(wall_s, self.task_wall_s + cpu_s)
        elif beside and self.busy_alone is not None and self.busy_alone >= WAITS_BELOW:
            wall_s = min(wall_s, cpu_s / min(1.0, self.busy_alone))
        alone = self.busy_alone
        if alone is not None and self.tasks == 0 and not beside:
            # Only now is it known what a task does after its beginning.
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
    """What a new process pool takes to start."""
    warm_children: int = 0
    """How many children a pool has that is kept warm: it takes nothing to start."""
    has_sync: bool = True
    has_async: bool = False
    has_gil: bool = True
    only_waits: bool = False
    """The task is declared to wait for others, and to compute nothing."""

    def may_compute_yet(self, measured: TaskProfile) -> bool:
        """Whether all that is known of a task is how it began, which was to wait."""
        return measured.tasks == 0 and measured.waits and not self.only_waits


@dataclass(frozen=True)
class BackendChoice:
    """A way to run what is left; `seconds` is what that is expected to take, a lower bound."""

    backend: str
    concurrency: int
    seconds: float
    why: str
    chunksize: int | None = None


def choose_without_probe(situation: Constraints) -> BackendChoice | None:
    """The way where there is none but one; None where it takes a look at the task."""
    lanes = max(1, min(situation.most, situation.left))
    if not situation.has_sync:
        why = "the task has an async form only"
        return BackendChoice("asyncio", lanes, 0.0, why)
    if lanes == 1:
        what = "one item" if situation.left == 1 else "one task in flight at most"
        return BackendChoice("sequential", 1, 0.0, f"{what}: nothing can run beside it")
    return None


def choose(measured: TaskProfile, situation: Constraints) -> BackendChoice:
    """The simplest of the ways that are nearly as fast as the fastest."""
    if situation.warm_children and situation.may_compute_yet(measured):
        return _warm_pool_until_known(measured, situation)
    ways = [_sequential(measured, situation)]
    if measured.waits and situation.has_async:
        ways.append(_asyncio(measured, situation))
    else:
        ways.append(_threads(measured, situation))
    ways += _processes(measured, situation)
    fastest = min(way.seconds for way in ways)
    return next(way for way in ways if way.seconds <= fastest * _NEARLY)


def thread_cpus(measured: TaskProfile, situation: Constraints) -> float:
    """How many CPUs threads of this task can keep busy."""
    if measured.busy is None:
        return 1.0 if situation.has_gil else float(situation.cpus)
    return float(situation.cpus) if measured.busy >= RELEASED_FROM else 1.0


def _lanes(measured: TaskProfile, situation: Constraints, cpus: float, item_s: float) -> int:
    """As many as keep `cpus` busy, with some to spare where tasks wait in between."""
    if measured.is_saturated:
        wanted = ceil(cpus)
    else:
        task_s = measured.task_cpu_s + item_s
        wanted = ceil(_SLACK * cpus * measured.task_wall_s / task_s)
    return max(1, min(situation.most, situation.left, max(wanted, ceil(cpus))))


def _warm_pool_until_known(measured: TaskProfile, situation: Constraints) -> BackendChoice:
    lanes = max(1, min(situation.most, situation.left, situation.warm_children))
    why = (
        f"{_task(measured)}, and none has ended: should it compute yet, "
        f"{situation.warm_children} processes are there that share no GIL"
    )
    return BackendChoice("process-pool", lanes, 0.0, why, chunksize=1)


def _sequential(measured: TaskProfile, situation: Constraints) -> BackendChoice:
    why = (
        f"{_task(measured)}: {_left(situation)} take less than starting anything beside them would"
    )
    return BackendChoice("sequential", 1, situation.left * (measured.task_wall_s + _ITEM_S), why)


def _threads(measured: TaskProfile, situation: Constraints) -> BackendChoice:
    cpus = thread_cpus(measured, situation)
    lanes = _lanes(measured, situation, cpus, _THREAD_ITEM_S)
    each_s = max(measured.task_wall_s / lanes, (measured.task_cpu_s + _THREAD_ITEM_S) / cpus)
    if measured.waits:
        why = f"{_task(measured)}: it waits, and waiting threads cost nothing"
    else:
        why = f"{_task(measured)}; {_busy(measured)}: threads keep {cpus:g} CPUs busy"
    return BackendChoice("thread-pool", lanes, situation.left * each_s, why)


def _asyncio(measured: TaskProfile, situation: Constraints) -> BackendChoice:
    lanes = max(1, min(situation.most, situation.left))
    each_s = max(measured.task_wall_s / lanes, measured.task_cpu_s + _LOOP_ITEM_S)
    why = (
        f"{_task(measured)}: it waits and has an async form, and coroutines wait at the least cost"
    )
    return BackendChoice("asyncio", lanes, situation.left * each_s, why)


def _processes(measured: TaskProfile, situation: Constraints) -> list[BackendChoice]:
    """With as many lanes as there is use for, and with those that are warm and start at once."""
    cpus = situation.cpus
    lanes = min(_lanes(measured, situation, cpus, _CHILD_ITEM_S), _POOL_PER_CPU * cpus)
    warm = situation.warm_children
    if 0 < warm < lanes:
        return [_pool(measured, situation, size) for size in (warm, lanes)]
    return [_pool(measured, situation, lanes)]


def _pool(measured: TaskProfile, situation: Constraints, lanes: int) -> BackendChoice:
    cpus = situation.cpus
    startup_s = 0.0 if lanes <= situation.warm_children else situation.pool_startup_s
    handover_s = _HANDOVER_S + measured.pickle_s
    own_s = _CHILD_ITEM_S + measured.pickle_s
    each_s = max(
        (measured.task_wall_s + own_s) / lanes,
        (measured.task_cpu_s + own_s + handover_s) / cpus,
        handover_s,
    )
    why = (
        f"{_task(measured)}; {_busy(measured)}: "
        f"processes use {cpus} CPUs; handing an item over costs {_ms(handover_s)}"
    )
    seconds = startup_s + situation.left * each_s
    return BackendChoice("process-pool", lanes, seconds, why, chunk_of(measured))


def chunk_of(measured: TaskProfile) -> int:
    """How many items the first chunks hold: what takes a child about 10 ms."""
    return max(1, min(_MOST_CHUNK, int(_CHUNK_S / max(measured.task_wall_s, 1e-6))))


def _task(measured: TaskProfile) -> str:
    over = "" if measured.tasks else "over "
    return f"{over}{_ms(measured.task_wall_s)} per task, {measured.cpu_share:.0%} CPU"


def _busy(measured: TaskProfile) -> str:
    if measured.holds_gil:
        return f"it keeps the GIL from others for {measured.gil_share:.0%} of its CPU time"
    if measured.busy is None:
        return "no time to try threads"
    return f"{measured.threads} threads kept {measured.busy:.2f} CPUs busy"


def _left(situation: Constraints) -> str:
    return "1 item" if situation.left == 1 else f"{situation.left} items"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"

"""What was measured of a task: its times, its share of the CPUs, and how it keeps the GIL."""

from dataclasses import asdict, dataclass, replace

WAITS_BELOW = 0.1
"""A task with a smaller share of CPU in its wall time waits; it is not measured further."""
SATURATED_FROM = 0.9
RELEASED_FROM = 1.25
"""Threads that keep more CPUs busy than this do not wait for one lock."""
_ALL_FROM = 0.85
"""Threads that keep this share of what they could busy are not in each other's way."""
GIL_HELD_FROM = 0.8
"""A task that holds the GIL for this share of its CPU time leaves a second thread too little."""


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
        is_uneven: whether the tasks that ended differ from each other.
    """

    tasks: int
    task_wall_s: float
    task_cpu_s: float
    busy_alone: float | None
    busy: float | None = None
    threads: int = 1
    pickle_s: float = 0.0
    gil_held: float | None = None
    is_uneven: bool = False

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

    def thread_cpus(self, cpus: int) -> float:
        """How many of these CPUs threads can keep busy; 1, where that was not measured."""
        if self.busy is None or self.busy < RELEASED_FROM:
            return 1.0
        share = self.busy / min(cpus, self.threads * (self.busy_alone or 1.0))
        return float(cpus) if share >= _ALL_FROM else max(1.0, cpus * share)

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
        is_known = self.waits or self.holds_gil or self.is_uneven or self.busy is not None
        return self.tasks > 0 and is_known

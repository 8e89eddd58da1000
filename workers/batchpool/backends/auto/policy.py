"""What `auto` decides: when to measure, how to run, and when to choose again; pure."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf

from batchpool.backends.auto.cost_model import (
    BackendChoice,
    Constraints,
    choose,
    choose_without_probe,
    ways,
)
from batchpool.backends.auto.profile_cache import CachedProfile
from batchpool.backends.auto.task_profile import TaskProfile
from batchpool.backends.auto.timings import Timings

_OFF_BY = 2.0
_GAIN = 1.25
"""So many times as fast must another backend be: what runs must end before it begins."""
_WORTH_S = 0.05
"""A change that saves less costs more: what runs must end, and the next way must begin."""
_COMPUTES_FROM = 0.5
"""Tasks in flight that use so many CPUs wait for each other, as well as for what they called."""
_KEEPS_LESS = 0.8
"""Threads that keep a smaller share busy of what was measured wait for each other."""
_MORE = 1.5
_WORTH_WALL_S = 0.005
_WORTH_CPU_S = 0.001
"""A smaller difference between tasks is no reason to choose again."""
_PROBES_ALLOWED = 4


class AutoPolicy:
    """Chooses how to run one batch; reads no clock and starts nothing.

    Attributes:
        choice: the last one.
        profile: of the task, from the cache, a probe or the tasks that ran since.

    Args:
        cpus: how many may be used.
        most: how many tasks may be in flight.
        cached: what an earlier batch of the same kind measured.
    """

    def __init__(self, cpus: int, most: int, cached: CachedProfile | None) -> None:
        self.choice = BackendChoice("sequential", 1, 0.0, "there was nothing to run")
        self.profile: TaskProfile | None = None
        self._cpus = cpus
        self._most = most
        self._cached = cached
        self._is_cached = False
        self._is_fresh = False
        self._probes = 0
        self._expected_s: float | None = None
        self._why: str | None = None

    @property
    def is_widened(self) -> bool:
        """Whether there are more slots than were chosen."""
        return self._why is not None

    @property
    def thread_cpus(self) -> float:
        """How many CPUs threads of this process can keep busy, as far as is known."""
        return 1.0 if self.profile is None else self.profile.thread_cpus(self._cpus)

    def next(self, constraints: Constraints) -> BackendChoice | None:
        """The choice for what is left; None if the task must be profiled first, see `learn`."""
        choice = choose_without_probe(constraints)
        if choice is None:
            if self.profile is None and self._cached is not None:
                self.profile, self._is_cached = self._cached.profile, True
            if self.profile is None or not (self._is_fresh or self.profile.is_complete):
                return None
            choice = choose(self.profile, constraints)
        self.adopt(choice)
        return choice

    def adopt(self, choice: BackendChoice) -> None:
        """Make this the choice, whoever made it."""
        self.choice, self._why = choice, None
        self._is_fresh = False
        walls_s = {} if self._cached is None else self._cached.walls_s
        self._expected_s = walls_s.get((choice.backend, choice.concurrency))

    def keep(self) -> None:
        """Keep to the choice: what runs does not end soon enough for another one."""
        self._probes = _PROBES_ALLOWED

    def widen(self, slots: int, used: float) -> None:
        """Note that there are more slots now, since only `used` CPUs were in demand."""
        before = self.choice.why if self._why is None else self._why
        why = f"{before}; then only {used:.2g} CPUs were used: {slots} in flight"
        backend = "thread-pool" if self.choice.backend == "sequential" else self.choice.backend
        self.choice = replace(self.choice, backend=backend, concurrency=slots, why=why)
        self._why, self._expected_s = before, None

    def learn(self, profile: TaskProfile) -> None:
        """Take the profile that a probe measured."""
        self.profile, self._cached = profile, None
        self._is_cached, self._is_fresh = False, True
        self._probes += 1

    def is_still_right(
        self, timings: Timings, left: int, constraints: Callable[[], Constraints]
    ) -> bool:
        """Whether tasks take what was expected; if not, the profile is forgotten or refined.

        Args:
            timings: of tasks that ran as chosen.
            left: items that nothing has taken yet.
            constraints: those at the moment of the call.
        """
        # Towards the end another choice could not make up for the change.
        is_late = left < 2 * self.choice.concurrency
        if is_late or self._probes >= _PROBES_ALLOWED or self.profile is None:
            return True
        if self.profile.tasks == 0:
            return self._refine(self.profile, timings, constraints)
        return self._check(self.profile, timings, constraints)

    def result(self, timings: Timings) -> CachedProfile | None:
        """What to keep for the next batch of the same kind, if it is complete."""
        seen = timings.mean(least=1)
        if self.profile is not None and self.profile.tasks == 0 and seen is not None:
            self.profile = self._with_times(self.profile, timings, *seen)
        if self.profile is None or not self.profile.is_complete:
            return None
        walls_s = {} if self._cached is None else self._cached.walls_s
        if seen is not None:
            walls_s.setdefault((self.choice.backend, self.choice.concurrency), seen[0])
        tasks = max(self.profile.tasks, timings.count)
        is_uneven = self.profile.is_uneven or timings.is_uneven
        return CachedProfile(replace(self.profile, tasks=tasks, is_uneven=is_uneven), walls_s)

    def facts(self) -> dict[str, object]:
        """What was measured, for the report."""
        facts: dict[str, object] = {"remembered": self._is_cached, "probes": self._probes}
        return facts | (self.profile.to_json() if self.profile else {})

    def _refine(
        self, profile: TaskProfile, timings: Timings, constraints: Callable[[], Constraints]
    ) -> bool:
        """Replace times of unfinished tasks by those of whole ones; they may show more."""
        seen = timings.mean(least=1)
        if seen is None:
            return True
        self.profile = self._with_times(profile, timings, *seen)
        better = choose(self.profile, constraints())
        if better.backend != self.choice.backend:
            return not self._is_worth(better, ways(self.profile, constraints()))
        return better.concurrency <= _MORE * self.choice.concurrency

    def _with_times(
        self, profile: TaskProfile, timings: Timings, wall_s: float, cpu_s: float
    ) -> TaskProfile:
        choice = self.choice
        profile = replace(profile, is_uneven=profile.is_uneven or timings.is_uneven)
        if choice.backend == "process-pool" and choice.concurrency <= self._cpus:
            wall_s, cpu_s = timings.alone() or (wall_s, cpu_s)
            return profile.with_times(timings.count, wall_s, cpu_s, beside=False)
        busy = choice.concurrency * cpu_s / max(wall_s, 1e-9)
        # Where they hardly compute, they are not in each other's way.
        return profile.with_times(timings.count, wall_s, cpu_s, beside=busy > _COMPUTES_FROM)

    def _check(
        self, profile: TaskProfile, timings: Timings, constraints: Callable[[], Constraints]
    ) -> bool:
        seen = timings.mean(least=max(3, 2 * self.choice.concurrency))
        if seen is None:
            return True
        wall_s, cpu_s = seen
        if self._expected_s is None:
            self._expected_s = wall_s
        # With as many slots as are allowed, tasks that wait longer would get no more of them.
        has_more = self.choice.concurrency < self._most
        is_off = has_more and _differ(wall_s, self._expected_s, _WORTH_WALL_S)
        keep_less = self._threads_keep_less(profile, wall_s, cpu_s)
        if is_off or keep_less or _differ(cpu_s, profile.task_cpu_s, _WORTH_CPU_S):
            if self._cached is None or profile.is_uneven or keep_less:
                return not self._is_another_better(profile, timings, constraints())
            self.profile = self._cached = None
            return False
        return True

    def _threads_keep_less(self, profile: TaskProfile, wall_s: float, cpu_s: float) -> bool:
        """Whether threads that should keep several CPUs busy wait for the GIL after all."""
        slots, cpus = self.choice.concurrency, profile.thread_cpus(self._cpus)
        expected = min(cpus, slots * (profile.busy_alone or profile.cpu_share))
        is_threads = self.choice.backend == "thread-pool"
        return is_threads and cpus > 1 and slots * cpu_s < _KEEPS_LESS * expected * wall_s

    def _is_another_better(
        self, profile: TaskProfile, timings: Timings, constraints: Constraints
    ) -> bool:
        """Whether another backend is, for tasks like the last ones; the profile becomes theirs."""
        wall_s, cpu_s = timings.mean(least=1) or (0.0, 0.0)
        busy = self.choice.concurrency * cpu_s / max(wall_s, 1e-9)
        if profile.waits and self.choice.backend == "thread-pool" and busy > _COMPUTES_FROM:
            # They waited for the GIL, or for a CPU, after what earlier ones waited for.
            wall_s = min(wall_s, profile.task_wall_s + cpu_s)
            profile = replace(profile, busy=busy, threads=self.choice.concurrency)
            self.profile = profile.with_times(timings.count, wall_s, cpu_s, beside=False)
        elif self._threads_keep_less(profile, wall_s, cpu_s):
            profile = replace(profile, busy=busy, threads=self.choice.concurrency)
            self.profile = self._with_times(profile, timings, wall_s, cpu_s)
        else:
            self.profile = self._with_times(profile, timings, wall_s, cpu_s)
        if self.choice.backend == "process-pool" and self.profile.waits:
            # More slots need no end of what runs.
            return False
        better, known = choose(self.profile, constraints), ways(self.profile, constraints)
        return better.backend != self.choice.backend and self._is_worth(better, known)

    def _is_worth(self, better: BackendChoice, known: Sequence[BackendChoice]) -> bool:
        """Whether it saves more than a change to another backend costs."""
        same = [way.seconds for way in known if way.backend == self.choice.backend]
        least_s = max(_GAIN * better.seconds, better.seconds + _WORTH_S)
        return min(same, default=inf) > least_s


def _differ(one_s: float, other_s: float, least_s: float) -> bool:
    high_s, low_s = max(one_s, other_s), min(one_s, other_s)
    return high_s > _OFF_BY * low_s and high_s - low_s > least_s

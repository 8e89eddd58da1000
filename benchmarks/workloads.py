"""The workloads, and the shortest time that the machine needs for each."""

import math
from dataclasses import dataclass, field
from typing import Any

SLEEP_S = 0.05
CPU_S = 0.05
TURN_SLEEP_S = 0.02
TURN_CPU_S = 0.01
CORES = 2


@dataclass(frozen=True)
class Pace:
    """The speed of the CPU loop, measured on this machine in this run."""

    loops_per_s: float

    def loops(self, seconds: float) -> int:
        return max(1, round(self.loops_per_s * seconds))


@dataclass(frozen=True)
class Workload:
    """One of W1, W2, W3, W5: a number of tasks; or W4: single tasks, one after the other.

    Attributes:
        work: kind and seconds of the tasks, in rotation.
        counts: fewer tasks for peers that would take minutes; their time is scaled.
        kind: `noop`, `sleep`, `cpu` or `mixed`, for which the peers are configured.
        goal: in words; `goals` checks it.
    """

    name: str
    title: str
    kind: str
    work: tuple[tuple[str, float], ...]
    count: int
    processes: int
    slots: int
    goal: str
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def in_flight(self) -> int:
        return self.processes * self.slots

    def count_for(self, peer: str) -> int:
        return self.counts.get(peer, self.count)

    def order(self, pace: Pace, count: int, chunk: int = 1) -> dict[str, Any]:
        """The request to an adapter."""
        work = [
            (kind, pace.loops(amount) if kind == "cpu" else amount) for kind, amount in self.work
        ]
        return {"do": "batch", "work": work, "count": count, "chunk": chunk}

    def limit_s(self, cpu_s: float) -> float | None:
        """The shortest time possible on two cores, given the CPU time of its tasks run serially."""
        if self.name == "W2":
            return math.ceil(self.count / self.in_flight) * SLEEP_S
        if self.name == "W3":
            return cpu_s / CORES
        if self.name == "W5":
            sleep_s = self.count / 2 * TURN_SLEEP_S
            return max(cpu_s / CORES, (cpu_s + sleep_s) / self.in_flight)
        return None


# No-ops by the thousand cost these peers milliseconds each.
_FEWER = {
    "rq-fork": 100,
    "rq-simple": 400,
    "celery-prefork": 1000,
    "celery-threads": 1000,
    "huey": 1500,
    "taskiq": 2000,
    "chancy": 2000,
    "dramatiq": 4000,
    "dask": 2000,
}

WORKLOADS = {
    "W1": Workload(
        "W1",
        "10,000 no-ops",
        "noop",
        (("noop", 0.0),),
        10_000,
        2,
        4,
        ">= 20 x the best queue with a message per task",
        _FEWER,
    ),
    "W2": Workload(
        "W2",
        "200 sleeps of 50 ms, 16 in flight",
        "sleep",
        (("sleep", SLEEP_S),),
        200,
        2,
        8,
        "<= 1.08 x the limit; no peer better by more than 5 %",
    ),
    "W3": Workload(
        "W3",
        "40 CPU tasks of 50 ms on 2 processes",
        "cpu",
        (("cpu", CPU_S),),
        40,
        2,
        1,
        "<= 1.08 x the limit; no peer better by more than 5 %",
    ),
    "W4": Workload(
        "W4",
        "latency of a single no-op",
        "latency",
        (("noop", 0.0),),
        1,
        1,
        1,
        "p50 <= RQ SimpleWorker behind a route; <= 3 x the fastest queue",
    ),
    "W5": Workload(
        "W5",
        "100 tasks, by turns 20 ms sleep and 10 ms CPU, 8 in flight",
        "mixed",
        (("sleep", TURN_SLEEP_S), ("cpu", TURN_CPU_S)),
        100,
        2,
        4,
        "<= 1.5 x the limit; no peer better by more than 5 %",
    ),
}

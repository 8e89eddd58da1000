"""Rounds: each contestant once per round, in a new random order, one at a time."""

import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.adapters.work import spin
from benchmarks.machine_noise import Neighbours
from benchmarks.peers import Contestant
from benchmarks.workloads import Pace, Workload

CALLS = 200
_SETTLING_CALLS = 5


@dataclass(frozen=True)
class Result:
    """The measurements of one contestant in all rounds.

    `seconds`: W4: of each call; else of each round, for the workload's whole count of tasks.
    `measured`: how many tasks were run per round; the time is scaled up in proportion.
    """

    workload: str
    name: str
    peer: str
    queue: bool
    measured: int
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Plan:
    """The number of rounds, and the other programs; `between` is called once per round."""

    rounds: int
    neighbours: Neighbours
    between: Callable[[], None]


def find_pace() -> Pace:
    """The speed of the CPU loop on this machine, as the median of several tries."""
    loops = 100_000
    times = []
    for _ in range(15):
        started = time.thread_time()
        spin(loops)
        times.append(time.thread_time() - started)
    return Pace(loops / statistics.median(times))


def serial_cpu_s(workload: Workload, pace: Pace) -> float:
    """CPU time of all tasks of a workload, one after the other."""
    order = workload.order(pace, workload.count)
    started = time.thread_time()
    for index in range(workload.count):
        kind, amount = order["work"][index % len(order["work"])]
        if kind == "cpu":
            spin(int(amount))
    return time.thread_time() - started


def run_rounds(
    workload: Workload,
    contestants: Sequence[Contestant],
    pace: Pace,
    plan: "Plan",
) -> list[Result]:
    """Measure all contestants; one that fails is reported, and left out from then on."""
    results = {
        c.name: Result(workload.name, c.name, c.peer, c.queue, _count(workload, c))
        for c in contestants
    }
    running = list(contestants)
    for number in range(plan.rounds):
        print(f"{workload.name}: round {number + 1} of {plan.rounds}", file=sys.stderr)
        plan.between()
        for contestant in random.sample(running, len(running)):
            try:
                found = _measure(workload, contestant, pace, plan)
            except Exception as error:
                print(f"left out: {contestant.name}: {error}", file=sys.stderr)
                running.remove(contestant)
                results.pop(contestant.name)
            else:
                results[contestant.name].seconds.extend(found)
    return list(results.values())


def _count(workload: Workload, contestant: Contestant) -> int:
    chunked = getattr(contestant, "chunk", 1) > 1
    return workload.count if chunked else workload.count_for(contestant.peer)


def _measure(workload: Workload, contestant: Contestant, pace: Pace, plan: Plan) -> list[float]:
    contestant.thaw()
    try:
        if workload.name == "W4":
            contestant.ask({"do": "calls", "count": _SETTLING_CALLS})
            order, scale = {"do": "calls", "count": -(-CALLS // plan.rounds)}, 1.0
        else:
            contestant.ask(workload.order(pace, 2 * workload.in_flight))
            count = _count(workload, contestant)
            order, scale = workload.order(pace, count), workload.count / count
        while True:
            plan.neighbours.wait_for_quiet()
            with plan.neighbours.watched():
                found = contestant.ask(order)
            if plan.neighbours.last_was_quiet or plan.neighbours.retry_for_s <= 0:
                return [seconds * scale for seconds in found]
            plan.neighbours.shares.pop()
    finally:
        contestant.freeze()

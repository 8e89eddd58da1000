"""`python -m benchmarks.auto_uneven`: `auto` on uneven work, beside the best backend by hand.

Each of the workloads has 8 tasks in flight at most. In a round, `auto` (first without a profile,
then with the cached one) and each cell of the grid run once, in random order, in this process and
in one warm runner context.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchpool.backends.auto.profile_cache import ProfileCache
from batchpool.backends.context import RunnerContext
from batchpool.model import BatchSpec, RunSpec
from batchpool.runner.run_batch import run_batch
from batchpool.system.cpus import usable_cpus
from batchpool.tasks.registry import load_tasks
from batchpool.tasks.sources import TaskSources
from benchmarks.auto import Timings, Way, hash_pace
from benchmarks.rounds import find_pace

GOAL, GOAL_SHARE, WORST = 1.3, 0.9, 1.6
IN_FLIGHT = 8
_GRID = [
    Way("sequential", 1),
    *(Way(pool, slots) for pool in ("thread-pool", "process-pool") for slots in (2, 4, 8)),
]
_HOPELESS = 2.5
"""One slot is not tried where it takes so many times the shortest time possible."""

Steps = tuple[float, float, float]
"""Milliseconds of sleep, of Python code and of native code that releases the GIL."""


def _sleep(ms: float) -> Steps:
    return ms, 0, 0


def _cpu(ms: float) -> Steps:
    return 0, ms, 0


def _native(ms: float) -> Steps:
    return 0, 0, ms


def _turns(count: int, *kinds: Steps) -> list[Steps]:
    return [kinds[number % len(kinds)] for number in range(count)]


def _every(count: int, period: int, often: Steps, seldom: Steps) -> list[Steps]:
    """Of each `period` items the last one is unlike the others."""
    return [often if (number + 1) % period else seldom for number in range(count)]


def _ramp(count: int, kind: Callable[[float], Steps], low: float, high: float) -> list[Steps]:
    return [kind(low + (high - low) * number / (count - 1)) for number in range(count)]


def _pareto(
    dice: random.Random, count: int, kind: Callable[[float], Steps], least: float, most: float
) -> list[Steps]:
    return [kind(min(most, least * dice.paretovariate(1.2))) for _ in range(count)]


def workloads(seed: int) -> Iterator[tuple[str, list[Steps]]]:
    """Names and items; those drawn at random depend on the seed."""
    dice = random.Random(seed)
    yield "uniform: sleep 10", _turns(300, _sleep(10))
    yield "uniform: Python 5", _turns(160, _cpu(5))
    yield "uniform: native 5", _turns(160, _native(5))
    yield "uniform: sleep 5 + Python 5", _turns(120, (5, 5, 0))
    yield "alternating: sleep 20, Python 10", _turns(80, _sleep(20), _cpu(10))
    yield "alternating: sleep 2, Python 2", _turns(400, _sleep(2), _cpu(2))
    yield "alternating: sleep 50, Python 1", _turns(120, _sleep(50), _cpu(1))
    yield "alternating: native 10, Python 10", _turns(80, _native(10), _cpu(10))
    yield "alternating: sleep 20, native 10", _turns(80, _sleep(20), _native(10))
    yield "halves: sleep 20, Python 9", [*[_sleep(20)] * 50, *[_cpu(9)] * 50]
    yield "halves: Python 9, sleep 20", [*[_cpu(9)] * 50, *[_sleep(20)] * 50]
    yield "halves: Python 0.1, Python 15", [*[_cpu(0.1)] * 300, *[_cpu(15)] * 50]
    yield "halves: Python 15, Python 0.1", [*[_cpu(15)] * 50, *[_cpu(0.1)] * 300]
    yield "ramp: Python 0.2 to 10", _ramp(120, _cpu, 0.2, 10)
    yield "ramp: Python 10 to 0.2", _ramp(120, _cpu, 10, 0.2)
    yield "ramp: sleep 1 to 40", _ramp(160, _sleep, 1, 40)
    yield "heavy tail: Python from 2", _pareto(dice, 150, _cpu, 2, 150)
    yield "heavy tail: sleep from 5", _pareto(dice, 200, _sleep, 5, 400)
    yield (
        "heavy tail: both",
        [
            (*_pareto(dice, 1, _sleep, 2, 200)[0][:1], dice.expovariate(1 / 3), 0)
            for _ in range(150)
        ],
    )
    yield "bursts: 20 Python 3, 8 sleep 60", _turns(140, *[_cpu(3)] * 20, *[_sleep(60)] * 8)
    yield "bursts: 40 no-ops, 10 Python 10", _turns(350, *[_cpu(0.01)] * 40, *[_cpu(10)] * 10)
    yield "seldom: Python 1, sleep 1,000", _every(200, 50, _cpu(1), _sleep(1000))
    yield "seldom: Python 1, Python 100", _every(200, 40, _cpu(1), _cpu(100))
    yield "seldom: no-op, sleep 50", _every(2000, 50, _cpu(0.01), _sleep(50))
    yield "slow last: Python 4, sleep 300", [*[_cpu(4)] * 150, _sleep(300)]
    yield "slow last: Python 4, Python 200", [*[_cpu(4)] * 150, _cpu(200)]
    yield "slow first: sleep 100, Python 4", [*[_sleep(100)] * 3, *[_cpu(4)] * 150]
    yield "slow first: Python 50, sleep 10", [*[_cpu(50)] * 3, *[_sleep(10)] * 300]
    kinds = (_sleep(15), _cpu(6), _native(6))
    yield "mix: sleep 15, Python 6, native 6", [dice.choice(kinds) for _ in range(120)]


@dataclass
class Row(Timings):
    """One workload with its measurements."""

    name: str
    items: list[Steps]

    def ways(self) -> list[Way]:
        """The cells of the grid that could be the best."""
        busy_s = sum(python + native for _, python, native in self.items) / 1e3
        wall_s = busy_s + sum(sleep for sleep, *_ in self.items) / 1e3
        least_s = max(busy_s / usable_cpus(), wall_s / IN_FLIGHT)
        return [way for way in _GRID if way.concurrency > 1 or wall_s <= _HOPELESS * least_s]


def measure(row: Row, context: RunnerContext, loops_s: float, bytes_s: float) -> None:
    """Measure one round."""
    items = [
        (sleep / 1e3, int(loops_s * python / 1e3), int(bytes_s * native / 1e3))
        for sleep, python, native in row.items
    ]

    def run(way: Way) -> tuple[float, str]:
        spec = RunSpec("steps", backend=way.backend, concurrency=way.concurrency)
        began_s = time.monotonic()
        report = run_batch(BatchSpec(spec, items), sink=lambda _: None, context=context).report
        took_s, chosen = time.monotonic() - began_s, report.chosen
        return took_s, f"{chosen['backend']} {chosen['concurrency']}" if chosen else ""

    auto = Way("auto", IN_FLIGHT)
    ways = [*row.ways(), auto]
    for way in random.sample(ways, len(ways)):
        if way is not auto:
            row.grid.setdefault(way, []).append(run(way)[0])
            continue
        context.kept(ProfileCache).clear()
        first_s, row.chosen = run(way)
        row.first.append(first_s)
        row.again.append(run(way)[0])


def table(rows: Sequence[Row]) -> str:
    """The report, as Markdown."""
    lines = [
        "| workload, ms | items | best of the grid | s | auto ran | first | again |",
        "| --- | ---: | --- | ---: | --- | ---: | ---: |",
    ]
    for row in rows:
        way, best_s = row.best
        lines.append(
            f"| {row.name} | {len(row.items):,} | {way.name} | {best_s:.2f} | {row.chosen} "
            f"| x {row.ratio(row.first):.2f} | x {row.ratio(row.again):.2f} |"
        )
    lines.append("")
    for name in ("first", "again"):
        ratios = [row.ratio(getattr(row, name)) for row in rows]
        within, worst = sum(ratio <= GOAL for ratio in ratios), max(ratios)
        is_met = within >= GOAL_SHARE * len(rows) and worst <= WORST
        lines.append(
            f"- {'met' if is_met else '**NOT met**'}: {name}: within {GOAL} x of the best on "
            f"{within} of {len(rows)} (goal {GOAL_SHARE:.0%}), at worst x {worst:.2f} "
            f"(goal {WORST})"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.auto_uneven", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("--only", default="", help="names of workloads begin so, comma-separated")
    options = parser.parse_args(arguments)
    only = tuple(options.only.split(","))
    rows = [Row(*work) for work in workloads(options.seed) if work[0].startswith(only)]
    loops_s, bytes_s = find_pace().loops_per_s, hash_pace()
    tasks = TaskSources(tasks_dir=str(Path(__file__).parent / "tasks"), entry_points=False)
    with RunnerContext(load_tasks(tasks), owns_process=True) as context:
        # So that the pool is warm for all.
        warm = RunSpec("steps", backend="process-pool", concurrency=IN_FLIGHT)
        run_batch(BatchSpec(warm, [(0.01, 0, 0)] * 50), context=context)
        for number in range(options.rounds):
            for row in rows:
                measure(row, context, loops_s, bytes_s)
                print(f"round {number + 1}: {row.name}: {row.last_round()}", file=sys.stderr)
    print(table(rows))


if __name__ == "__main__":
    main(sys.argv[1:])

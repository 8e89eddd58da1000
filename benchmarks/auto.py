"""`python -m benchmarks.auto`: compare the backend `auto` with every backend at every concurrency.

Both are measured in this process with `run_batch` in one warm runner context, so that neither
includes queue, ledger and HTTP; `--http URL` sends jobs to a running stack instead. Each round
runs every variant once, in random order. `auto` runs twice in a row: first without a profile of
the task, then with the cached one. A cell of the grid that by arithmetic alone (items x sleep /
concurrency) cannot be close to the best is left out.
"""

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from batchpool.backends.auto.profile_cache import ProfileCache
from batchpool.backends.context import RunnerContext
from batchpool.client import Client
from batchpool.model import BatchSpec, RunSpec
from batchpool.runner.run_batch import run_batch
from batchpool.system.cpus import usable_cpus
from batchpool.tasks.registry import load_tasks
from batchpool.tasks.sources import TaskSources
from benchmarks.rounds import find_pace
from benchmarks.workloads import Pace

GOAL = 1.15
GOAL_SHARE = 0.85
_LENGTHS_S = (0.001, 0.01, 0.1, 0.5)
_HOPELESS = 2.0
_MOST_WAITING = 256
_WAITING = (16, 32, 64, 128, 256)
_MOST_ITEMS = 60_000
_HASH_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Workload:
    """A task, how often it runs, and how much of it is waiting."""

    name: str
    task: str
    params: dict[str, Any]
    count: int
    wait_s: float
    cpu_s: float


@dataclass(frozen=True)
class Way:
    """One cell of the grid."""

    backend: str
    concurrency: int

    @property
    def name(self) -> str:
        return f"{self.backend} {self.concurrency}"


@dataclass(kw_only=True)
class Timings:
    """The measurements of one workload, in seconds, and what `auto` chose."""

    grid: dict[Way, list[float]] = field(default_factory=dict)
    first: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    chosen: str = ""

    @property
    def best(self) -> tuple[Way, float]:
        way, times = min(self.grid.items(), key=lambda cell: statistics.median(cell[1]))
        return way, statistics.median(times)

    def ratio(self, times: Sequence[float]) -> float:
        return statistics.median(times) / self.best[1]

    def last_round(self) -> str:
        """What `auto` took in the last round, as multiples of the best of the grid."""
        way, best_s = self.best
        first, again = self.first[-1] / best_s, self.again[-1] / best_s
        return f"{self.chosen} x {first:.2f} x {again:.2f} of {way.name} {best_s:.2f} s"


@dataclass
class Row(Timings):
    """One workload with its measurements."""

    workload: Workload


Run = Callable[[Workload, Way, bool], tuple[float, str]]
"""Runs a workload one way, `auto` with or without its memory; seconds, and what was chosen."""


def workloads(pace: Pace, hash_bytes_s: float, lasts_s: float) -> Iterator[Workload]:
    """Sixteen workloads: four kinds by four lengths; the best variant takes about `lasts_s`."""
    cpus = usable_cpus()
    for length_s in _LENGTHS_S:
        waiting = min(_MOST_ITEMS, int(lasts_s * _MOST_WAITING / length_s))
        busy = max(2 * cpus, round(lasts_s * cpus / length_s))
        ms = f"{length_s * 1e3:g} ms"
        yield Workload(f"sleep {ms}", "sleep", {"seconds": length_s}, waiting, length_s, 0)
        loops = {"iterations": pace.loops(length_s)}
        yield Workload(f"Python {ms}", "cpu", loops, busy, 0, length_s)
        block = min(_HASH_BLOCK_BYTES, int(hash_bytes_s * length_s))
        rounds = max(1, round(hash_bytes_s * length_s / block))
        native = {"size_bytes": block, "rounds": rounds}
        yield Workload(f"native {ms}", "hash", native, busy, 0, length_s)
        half = {"seconds": length_s / 2, "iterations": pace.loops(length_s / 2)}
        yield Workload(f"mixed {ms}", "mixed", half, 2 * busy, length_s / 2, length_s / 2)


def grid(workload: Workload) -> list[Way]:
    """Every variant that could be the best."""
    cpus = usable_cpus()
    few = [cpus * factor for factor in (1, 2, 4)]
    ways = [Way("sequential", 1)]
    wide = sorted({*few, *_WAITING}) if workload.wait_s else few
    ways += [Way("thread-pool", slots) for slots in wide]
    ways += [Way("process-pool", slots) for slots in few]
    if workload.wait_s:
        ways += [Way("asyncio", slots) for slots in wide]
    if max(workload.wait_s, workload.cpu_s) >= 0.01:
        ways.append(Way("threading", 16 if workload.wait_s else cpus))
        ways.append(Way("multiprocessing", cpus))
    least_s = {way: _at_least_s(workload, way) for way in ways}
    best_s = min(least_s.values())
    return [way for way in ways if least_s[way] <= _HOPELESS * best_s]


def _at_least_s(workload: Workload, way: Way) -> float:
    busy_s = workload.cpu_s if way.backend in ("sequential", "asyncio") else 0.0
    each_s = max((workload.wait_s + workload.cpu_s) / way.concurrency, busy_s)
    return workload.count * max(each_s, workload.cpu_s / usable_cpus(), 2e-5)


def runner_on(context: RunnerContext) -> Run:
    """Runs batches in this process."""

    def run(workload: Workload, way: Way, forget: bool) -> tuple[float, str]:
        if forget:
            context.kept(ProfileCache).clear()
        spec = RunSpec(
            workload.task, workload.params, backend=way.backend, concurrency=way.concurrency
        )
        began_s = time.monotonic()
        report = run_batch(
            BatchSpec(spec, range(workload.count)), sink=lambda _: None, context=context
        ).report
        took_s = time.monotonic() - began_s
        chosen = report.chosen
        return took_s, f"{chosen['backend']} {chosen['concurrency']}" if chosen else ""

    return run


def runner_over(url: str) -> Run:
    """Runs jobs on a stack; the profiles that its workers have cached are not cleared."""
    client = Client(url)

    def run(workload: Workload, way: Way, forget: bool) -> tuple[float, str]:
        del forget
        how = {} if way.backend == "sequential" else {"concurrency": way.concurrency}
        ordered = client.submit(
            workload.task, params=workload.params, count=workload.count, backend=way.backend, **how
        )
        job = client.wait(ordered)
        chosen = job.data["batches"][0]["chosen"]
        return float(job.timing["wall_s"]), (
            f"{chosen['backend']} {chosen['concurrency']}" if chosen else ""
        )

    return run


def measure(row: Row, run: Run) -> None:
    """Measure one round: every variant once, in random order."""
    auto = Way("auto", _MOST_WAITING)
    ways = [*grid(row.workload), auto]
    for way in random.sample(ways, len(ways)):
        if way is not auto:
            row.grid.setdefault(way, []).append(run(row.workload, way, False)[0])
            continue
        row.first.append(run(row.workload, way, True)[0])
        seconds, row.chosen = run(row.workload, way, False)
        row.again.append(seconds)


def table(rows: Sequence[Row], rounds: int) -> str:
    """The report, as Markdown."""
    lines = [
        f"{rounds} rounds; medians. `first`: nothing was known of the work; `again`: the next one.",
        "",
        "| workload | items | best of the grid | s | auto chose | first | again |",
        "| --- | ---: | --- | ---: | --- | ---: | ---: |",
    ]
    for row in rows:
        (way, best_s), work = row.best, row.workload
        lines.append(
            f"| {work.name} | {work.count:,} | {way.name} | {best_s:.2f} | {row.chosen} "
            f"| x {row.ratio(row.first):.2f} | x {row.ratio(row.again):.2f} |"
        )
    lines.append("")
    for name in ("first", "again"):
        ratios = [row.ratio(getattr(row, name)) for row in rows]
        within = sum(ratio <= GOAL for ratio in ratios)
        outcome = "met" if within >= GOAL_SHARE * len(rows) else "**NOT met**"
        lines.append(
            f"- {outcome}: {name}: within {GOAL} x of the best on {within} of {len(rows)} "
            f"({within / len(rows):.0%}; goal {GOAL_SHARE:.0%}), at worst x {max(ratios):.2f}"
        )
    return "\n".join(lines)


def hash_pace() -> float:
    """Bytes that one thread hashes per second."""
    context = RunnerContext(load_tasks(TaskSources(entry_points=False)))
    with context:
        spec = RunSpec("hash", {"size_bytes": _HASH_BLOCK_BYTES, "rounds": 20}, "sequential")
        outcomes = run_batch(BatchSpec(spec, range(9)), context=context).outcomes
    return 20 * _HASH_BLOCK_BYTES / (statistics.median(o.cpu_ns for o in outcomes) / 1e9)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.auto", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lasts", type=float, default=1.5, help="seconds of a workload at best")
    parser.add_argument("--only", default="", help="names of workloads begin so, comma-separated")
    parser.add_argument("--http", default="", help="URL of a stack to send jobs to")
    options = parser.parse_args(arguments)
    found = workloads(find_pace(), hash_pace(), options.lasts)
    rows = [Row(w) for w in found if w.name.startswith(tuple(options.only.split(",")))]
    with RunnerContext(load_tasks(TaskSources(entry_points=False)), owns_process=True) as context:
        run = runner_over(options.http) if options.http else runner_on(context)
        widest = max(way.concurrency for way in grid(rows[0].workload) if way.backend)
        # So that the pool is warm for all.
        run(
            Workload("warm", "echo", {}, 100, 0, 0),
            Way("process-pool", min(widest, 4 * usable_cpus())),
            False,
        )
        for number in range(options.rounds):
            for row in rows:
                measure(row, run)
                name = row.workload.name
                print(f"round {number + 1}: {name}: {row.last_round()}", file=sys.stderr)
    print(table(rows, options.rounds))


if __name__ == "__main__":
    main(sys.argv[1:])

"""`python -m benchmarks.item_loop`: CPU time of an item, against a bare loop in the same run.

The item is a no-op. Measured without Redis, HTTP or other processes, so that little else varies:
`run` is the backend alone, `all` has the packing of its records into blocks too. Rounds of both are
interleaved, and the ratio is that of the medians.
"""

import statistics
import sys
import time
from typing import cast

from batchpool.backends.context import RunnerContext
from batchpool.execution.item_logs import ItemLogs
from batchpool.ledger.ownership import Block, Claim, Ending, Ownership
from batchpool.ledger.values.job_entries import Tally
from batchpool.model import BatchSpec, ExecutionSite, Outcome, RunSpec
from batchpool.runner.garbage import GarbageCollection
from batchpool.runner.record_writer import RecordWriter
from batchpool.runner.run_batch import run_batch

_COUNT = 20_000
_ROUNDS = 15
_BACKENDS = ("sequential", "thread-pool")


class _Nowhere:
    """Takes every block."""

    def flush(self, claim: Claim, block: Block, tally: Tally, ending: Ending | None) -> str:
        return "ok"


def bare_loop(count: int) -> float:
    """CPU seconds of a loop that calls a function and makes the same records."""
    site = ExecutionSite(1, 1, 1, "bare", 0)
    started = time.process_time()
    records = []
    for index in range(count):
        begun, cpu = time.monotonic_ns(), time.thread_time_ns()
        value = _echo(index)
        taken, used = time.monotonic_ns() - begun, time.thread_time_ns() - cpu
        records.append(Outcome(index, "succeeded", value, None, site, begun, taken, used))
    return time.process_time() - started


def _echo(item: int) -> int:
    return item


def _run(context: RunnerContext, backend: str, count: int) -> tuple[float, float]:
    """CPU seconds of a batch, without and with packing its records."""
    run = RunSpec("echo", backend=backend)
    claim = Claim("j", 0, "t", 1, run, 0, count, False, frozenset(), Tally(), 0, 60_000)
    writer = RecordWriter(cast(Ownership, _Nowhere()), claim, 0, running=lambda: 0, logs=ItemLogs())
    started = time.process_time()
    run_batch(BatchSpec(run, range(count)), sink=writer.buffer, context=context, check_leaks=False)
    ran = time.process_time() - started
    writer.close(None)
    assert writer.counts == {"succeeded": count}
    return ran, time.process_time() - started


def measure(count: int, rounds: int) -> str:
    """Measure, and return a table."""
    GarbageCollection()
    found: dict[str, list[float]] = {}
    with RunnerContext() as context:
        for number in range(rounds + 1):
            taken = {"bare loop": bare_loop(count)}
            for backend in _BACKENDS:
                ran, everything = _run(context, backend, count)
                taken |= {f"{backend}, run": ran, f"{backend}, all": everything}
            for name, once in taken.items() if number else ():
                found.setdefault(name, []).append(once)
    bare = statistics.median(found["bare loop"])
    lines = ["| | µs per item, median | least | × the bare loop |", "| --- | ---: | ---: | ---: |"]
    for name, seconds in found.items():
        middle, least = statistics.median(seconds), min(seconds)
        each, best = middle / count * 1e6, least / count * 1e6
        lines.append(f"| {name} | {each:.2f} | {best:.2f} | {middle / bare:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(measure(_COUNT, _ROUNDS) + "\n")

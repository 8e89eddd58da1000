"""Cost of an item by backend, and the task length from which a pool pays."""

import random
import statistics
from typing import Any

from batchpool.client import Client
from batchpool.stack.local_stack import LocalStack
from benchmarks.rounds import find_pace

_ROUNDS = 5
_BACKENDS: dict[str, dict[str, Any]] = {
    "sequential": {},
    "threading": {"concurrency": 2},
    "thread-pool": {"concurrency": 2},
    "asyncio": {"concurrency": 2},
    "process-pool": {"concurrency": 2},
    "multiprocessing": {"concurrency": 2},
}
_COUNTS = {"threading": 2000, "multiprocessing": 20}
_NOOPS = 20_000
_LENGTHS_S = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
_SERIAL_S = 0.6
_MOST_TASKS = 50_000
_CHUNKS = (1, 4, 16, 64, 256, 1024, 4096)
_MOST_CHUNKS = 1000
"""A manual setting would not cut more: a chunk costs some tenths of a millisecond."""
_AS_GOOD = 0.9


def measure(stack: LocalStack, client: Client, quick: bool) -> str:
    """Measure, and return a section of the report."""
    del stack
    rounds = 1 if quick else _ROUNDS
    lines = ["### Cost of an item by backend (`wall_s` of the job, no-ops)", ""]
    lines += ["| backend | items | us per item |", "| --- | ---: | ---: |"]
    for name, spec in _BACKENDS.items():
        count = _COUNTS.get(name, _NOOPS)
        wall_s = _median(client, rounds, "echo", count, {"backend": name, **spec})
        lines.append(f"| {name} | {count:,} | {wall_s / count * 1e6:,.1f} |")
    lines += ["", "### CPU tasks by length: items/s of two processes to one (`wall_s`)", ""]
    lines += ["| task | process-pool 2 to sequential | auto chunk to the best by hand |"]
    lines.append("| ---: | ---: | --- |")
    worst = 9.0
    for length_s in _LENGTHS_S:
        line, ratio = _length(client, rounds, length_s)
        worst = min(worst, ratio)
        lines.append(line)
    outcome = "met" if worst >= _AS_GOOD else "**NOT met**"
    goal = f"auto chunks >= {_AS_GOOD} x the best by hand"
    return "\n".join([*lines, "", f"- {outcome}: {goal} — {worst:.2f} x at worst", ""])


def _length(client: Client, rounds: int, length_s: float) -> tuple[str, float]:
    pace = find_pace()
    count = max(8, min(_MOST_TASKS, round(_SERIAL_S / length_s)))
    params = {"iterations": pace.loops(length_s)}
    pool = {"backend": "process-pool", "concurrency": 2, "params": params}
    ways: dict[Any, dict[str, Any]] = {
        "sequential": {"backend": "sequential", "params": params},
        "auto": pool,
        **{
            size: {**pool, "chunksize": size}
            for size in _CHUNKS
            if size <= count // 2 and count // size <= _MOST_CHUNKS
        },
    }
    times: dict[Any, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in random.sample(list(ways), len(ways)):
            times[way].append(_wall_s(client, "cpu", count, ways[way]))
    found = {way: statistics.median(values) for way, values in times.items()}
    best = min((way for way in found if way in _CHUNKS), key=lambda way: found[way])
    gain, ratio = found["sequential"] / found["auto"], found[best] / found["auto"]
    return f"| {length_s * 1e3:g} ms | x {gain:.2f} | x {ratio:.2f} (best: {best}) |", ratio


def _median(client: Client, rounds: int, task: str, count: int, spec: dict[str, Any]) -> float:
    _wall_s(client, task, 16, spec)
    return statistics.median(_wall_s(client, task, count, spec) for _ in range(rounds))


def _wall_s(client: Client, task: str, count: int, spec: dict[str, Any]) -> float:
    job = client.wait(client.submit(task, count=count, **spec))
    assert job.succeeded, job.data
    return float(job.timing["wall_s"])

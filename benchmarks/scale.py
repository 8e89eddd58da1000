"""W6: from a thousand to a million no-ops; cost of an item in time, memory and Redis."""

import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

from batchpool.client import Client, Job
from batchpool.ledger.connection import connect
from batchpool.runner.garbage import GarbageCollection
from batchpool.stack.local_stack import LocalStack
from benchmarks.item_loop import bare_loop
from benchmarks.process_usage import MB, Peaks, watching

_SIZES = (1_000, 10_000, 100_000, 1_000_000)
_ROUNDS = 3
_SPEC: dict[str, Any] = {"backend": "thread-pool", "concurrency": 1, "batches": 2}
_LOOPS, _LOOP_COUNT = 5, 100_000
_LEAST_RATE = 100_000
_LEAST_SHARE = 0.8
_MOST_RSS = 300e6
_MOST_BYTES = 24.0
_AS_FAST = 0.9


@dataclass
class _Size:
    count: int
    seconds: list[float] = field(default_factory=list)
    download_s: list[float] = field(default_factory=list)
    bytes_per_item: float = 0.0
    peaks: Peaks = field(default_factory=Peaks)

    @property
    def rate(self) -> float:
        return self.count / statistics.median(self.seconds)


def measure(stack: LocalStack, client: Client, quick: bool) -> str:
    """Measure, and return a section of the report."""
    sizes = [_Size(count) for count in (_SIZES[:-1] if quick else _SIZES)]
    _run(client, sizes[0].count)
    loops: list[float] = []
    for number in range(_ROUNDS):
        for size in random.sample([*sizes, None], len(sizes) + 1):
            what = f"{size.count:,}" if size else "bare loops"
            print(f"W6: round {number + 1} of {_ROUNDS}, {what}", file=sys.stderr)
            if size:
                _measure(stack, client, size)
            else:
                loops.append(_two_bare_loops())
    bare = statistics.median(loops)
    return "\n".join([*_table(sizes, bare), "", *_verdicts(sizes, bare), ""])


def _two_bare_loops() -> float:
    """Records per second that two processes make at the same time, each in a bare loop."""
    method = get_context("spawn")
    start, spans = method.Barrier(2), method.Queue()
    loops = [method.Process(target=_bare_loops, args=(start, spans)) for _ in range(2)]
    for loop in loops:
        loop.start()
    begins, ends = zip(*(spans.get() for _ in loops), strict=True)
    for loop in loops:
        loop.join()
    return float(2 * _LOOPS * _LOOP_COUNT / (max(ends) - min(begins)))


def _bare_loops(start: Any, spans: Any) -> None:
    # As in a runner, so that the collector does not look at the records.
    GarbageCollection()
    start.wait()
    begun = time.perf_counter()
    for _ in range(_LOOPS):
        bare_loop(_LOOP_COUNT)
    spans.put((begun, time.perf_counter()))


def _measure(stack: LocalStack, client: Client, size: _Size) -> None:
    with connect(stack.redis_url) as redis:
        with watching(stack) as peaks:
            started = time.perf_counter()
            job = _run(client, size.count)
            size.seconds.append(time.perf_counter() - started)
            size.bytes_per_item = _bytes_of(redis, job.id) / size.count
            if not size.download_s:
                started = time.perf_counter()
                got = sum(1 for _ in client.records(job))
                size.download_s.append(time.perf_counter() - started)
                assert got == size.count, (got, size.count)
    for name, rss in peaks.rss_bytes.items():
        size.peaks.rss_bytes[name] = max(rss, size.peaks.rss_bytes.get(name, 0))
    client.delete(job)


def _bytes_of(redis: object, job_id: str) -> int:
    from redis import Redis

    assert isinstance(redis, Redis)
    keys = list(redis.scan_iter(match=f"*{job_id}*", count=1000))
    return sum(int(redis.memory_usage(key, samples=0) or 0) for key in keys)


def _run(client: Client, count: int) -> Job:
    job = client.wait(client.submit("echo", count=count, **_SPEC))
    assert job.succeeded and job.sum == count * (count - 1) // 2, job.data
    return job


_HEAD = (
    "items",
    "s, submit to end",
    "min – max",
    "items/s",
    "us/item",
    "to 2 bare loops",
    "download s",
    "Redis bytes/item",
    "RSS MB: API",
    "worker",
    "runner",
    "Redis",
)


def _table(sizes: Sequence[_Size], bare: float) -> list[str]:
    lines = [
        "### W6: no-ops by number (thread-pool, 2 workers)",
        "",
        f"two bare loops at once that create the same records: {bare:,.0f} items/s",
        "",
        _row(*_HEAD),
        _row(*["---:"] * len(_HEAD)),
    ]
    for size in sizes:
        peaks = size.peaks.rss_bytes
        worker = max(v for k, v in peaks.items() if k.startswith("worker") and k.endswith("/0"))
        median = statistics.median(size.seconds)
        lines.append(
            _row(
                f"{size.count:,}",
                f"{median:.3f}",
                f"{min(size.seconds):.3f} – {max(size.seconds):.3f}",
                f"{size.rate:,.0f}",
                f"{1e6 / size.rate:.1f}",
                f"{size.rate / bare:.2f}",
                f"{size.download_s[0]:.2f}",
                f"{size.bytes_per_item:.1f}",
                f"{size.peaks.of('api') / MB:.0f}",
                f"{worker / MB:.0f}",
                f"{size.peaks.of('worker') / MB:.0f}",
                f"{size.peaks.of('redis') / MB:.0f}",
            )
        )
    return lines


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _verdicts(sizes: Sequence[_Size], bare: float) -> list[str]:
    last = sizes[-1]
    to_bare = last.rate / bare
    ours = max(last.peaks.of("api"), last.peaks.of("worker"))
    judged = [
        (f">= {_LEAST_RATE:,} items/s", last.rate >= _LEAST_RATE, f"{last.rate:,.0f}"),
        (f">= {_LEAST_SHARE} x two bare loops", to_bare >= _LEAST_SHARE, f"{to_bare:.2f} x"),
        ("RSS of API and workers < 300 MB", ours < _MOST_RSS, f"{ours / MB:.0f} MB"),
        (
            f"<= {_MOST_BYTES:g} bytes of Redis per item",
            last.bytes_per_item <= _MOST_BYTES,
            f"{last.bytes_per_item:.1f}",
        ),
    ]
    by_count = {size.count: size for size in sizes}
    if last.count == _SIZES[-1]:
        ratio = last.rate / by_count[100_000].rate
        goal = f"items/s at 1,000,000 >= {_AS_FAST} x those at 100,000"
        judged.append((goal, ratio >= _AS_FAST, f"{ratio:.2f} x"))
    return [f"- {'met' if ok else '**NOT met**'}: {goal} — {how}" for goal, ok, how in judged]

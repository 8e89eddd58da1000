"""Values and records read back over HTTP, against the JSON of a plain list in the same run.

    python -m benchmarks.read_back [--count 1000000] [--rounds 3]

Figures are per second of CPU time, of the API's process and of the client's: other programs on the
machine change them little.
"""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from batchpool.client import Client, Job
from batchpool.stack.local_stack import LocalStack
from benchmarks.own_stack import make_stack
from benchmarks.process_usage import MB, cpu_s_by_member, watching

_W1 = 10_000
_W1_TIMES = 50
_FIELDS = ("index", "value")
_LEAST_RATE = 1_000_000
_LEAST_W1_RATE = 400_000


@dataclass(frozen=True)
class _Reading:
    """Values per second of CPU time; the API's memory while they were read."""

    api: float
    client: float
    together: float
    rss_bytes: int


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.read_back", description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    with make_stack() as stack, Client(stack.url) as client:
        print("| read | values/s of the API's CPU | of the client's | of both | API MB | to JSON |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        found = {}
        for kind, values in _lists(options.count).items():
            job = _job(client, values)
            reference = _median(options.rounds, lambda values=values: _json_rate(values))
            ways: dict[str, Callable[[], Iterable[Any]]] = {
                f"values, {kind}": lambda job=job: client.values(job),
                f"records, {kind}": lambda job=job: client.records(job, fields=_FIELDS),
                f"stream, {kind}": lambda job=job: client.stream(job, fields=_FIELDS),
            }
            for name, way in ways.items():
                rounds = [_read(stack, way, len(values)) for _ in range(options.rounds)]
                found[name] = _show(name, rounds, reference)
            client.delete(job)
        small = _job(client, range(_W1))
        w1 = _read(stack, lambda: _many(client, small), _W1 * _W1_TIMES)
        _show(
            f"values of W1, {_W1:,} at a time",
            [w1],
            _median(_W1_TIMES, lambda: _json_rate(range(_W1))),
        )
        numbers = found["values, integers"].api
        _verdict(f"values of numbers >= {_LEAST_RATE:,}/s of the API's CPU", numbers, _LEAST_RATE)
        _verdict(f"W1 read back >= {_LEAST_W1_RATE:,}/s of all CPU", w1.together, _LEAST_W1_RATE)


def _lists(count: int) -> dict[str, Sequence[Any]]:
    chance = random.Random(1)
    return {
        "integers": range(count),
        "floats": [chance.random() for _ in range(count)],
        "texts": [f"the value of {index}" for index in range(count)],
    }


def _job(client: Client, values: Sequence[Any]) -> Job:
    spec: dict[str, Any] = {"backend": "sequential", "batches": 2}
    given = {"count": len(values)} if isinstance(values, range) else {"items": values}
    job = client.run("echo", **given, **spec)
    assert job.succeeded, job.data
    return job


def _many(client: Client, job: Job) -> Iterable[Any]:
    for _ in range(_W1_TIMES):
        yield from client.values(job)


def _read(stack: LocalStack, way: Callable[[], Iterable[Any]], count: int) -> _Reading:
    with watching(stack) as peaks:
        before, began = cpu_s_by_member(stack)["api"], time.process_time()
        got = sum(1 for _ in way())
        client_s = time.process_time() - began
        api_s = max(cpu_s_by_member(stack)["api"] - before, 0.01)
    assert got == count, (got, count)
    return _Reading(count / api_s, count / client_s, count / (api_s + client_s), peaks.of("api"))


def _json_rate(values: Sequence[Any]) -> float:
    began = time.process_time()
    json.loads(json.dumps(list(values), separators=(",", ":")))
    return len(values) / (time.process_time() - began)


def _median(rounds: int, measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(rounds))


def _show(name: str, rounds: Sequence[_Reading], reference: float) -> _Reading:
    """Print a row, and return its reading: that with the median cost of both together."""
    found = sorted(rounds, key=lambda reading: reading.together)[len(rounds) // 2]
    cells = f"{found.api:,.0f} | {found.client:,.0f} | {found.together:,.0f}"
    ratio = found.together / reference
    print(f"| {name} | {cells} | {found.rss_bytes / MB:.0f} | {ratio:.2f} |", flush=True)
    return found


def _verdict(goal: str, found: float, least: float) -> None:
    print(f"\n- {'met' if found >= least else '**NOT met**'}: {goal} — {found:,.0f}")


if __name__ == "__main__":
    main(sys.argv[1:])

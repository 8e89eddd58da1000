"""Check that the parts of a run's time add up to it, and that contention is plausible.

    python -m benchmarks.time_breakdown

Runs real comparisons of six mixes of work under seven arms, and prints for each arm what of its
wall time no part covers, and the contention of a task.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median
from typing import Any, NamedTuple

import httpx

from benchmarks.own_stack import make_stack

ROUNDS = 10
MOST_UNACCOUNTED = 0.02
LEAST_WALL_S = 0.2
NEAR = 0.1
"""How far the share of contention may be from what the GIL makes of it."""
MIXES: dict[str, tuple[str, dict[str, Any], int]] = {
    "sleep 50 ms × 16": ("sleep", {"seconds": 0.05}, 16),
    "sleep 10 ms × 80": ("sleep", {"seconds": 0.01}, 80),
    "cpu × 16": ("cpu", {"iterations": 1_000_000}, 16),
    "hash × 16": ("hash", {"size_bytes": 1 << 22, "rounds": 8}, 16),
    "sleep + cpu × 16": ("mixed", {"seconds": 0.02, "iterations": 150_000}, 16),
    "short sleep + cpu × 120": ("mixed", {"seconds": 0.002, "iterations": 20_000}, 120),
}
ARMS: list[dict[str, Any]] = [
    {"backend": "sequential"},
    {"backend": "threading", "concurrency": 4},
    {"backend": "thread-pool", "concurrency": 2},
    {"backend": "thread-pool", "concurrency": 4},
    {"backend": "multiprocessing", "concurrency": 2},
    {"backend": "process-pool", "concurrency": 2},
    {"backend": "thread-pool", "concurrency": 2, "batches": 2},
]


class Row(NamedTuple):
    """One arm of one mix; shares of the wall time."""

    mix: str
    arm: dict[str, Any]
    unaccounted: list[float]
    contention: float | None

    @property
    def share(self) -> float:
        return median(map(abs, self.unaccounted))

    @property
    def threads(self) -> int:
        """How many threads of one process run its tasks; 0 where processes do."""
        spec = self.arm["spec"]
        return spec["concurrency"] if spec["backend"] in ("threading", "thread-pool") else 0


def measure(http: httpx.Client) -> list[Row]:
    """Print and return a row per arm and mix."""
    print("| mix | arm | median | unaccounted, median | in the worst run | contention of a task |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    rows = []
    for mix, (task, params, count) in MIXES.items():
        document = _compare(http, {"task": task, "params": params, "count": count})
        for row in _rows(mix, document):
            rows.append(row)
            worst = max(row.unaccounted, key=abs)
            contention = "" if row.contention is None else f"{row.contention:.0%}"
            print(
                f"| {mix} | {row.arm['name']} | {row.arm['median_s'] * 1000:.0f} ms "
                f"| {row.share:.2%} | {worst:+.2%} | {contention} |",
                flush=True,
            )
    return rows


def _compare(http: httpx.Client, work: dict[str, Any]) -> dict[str, Any]:
    order = work | {"arms": ARMS, "rounds": ROUNDS, "seed": 1}
    answer = http.post("/v1/comparisons", json=order).raise_for_status()
    path = f"/v1/comparisons/{answer.json()['id']}"
    while True:
        found: dict[str, Any] = http.get(path, params={"wait": 30}).raise_for_status().json()
        if found["state"] not in ("queued", "running"):
            return found


def _rows(mix: str, document: dict[str, Any]) -> Iterator[Row]:
    for arm in document["arms"]:
        facts = [
            sample["facts"]
            for sample in document["samples"]
            if sample["arm"] == arm["index"]
            and sample["kind"] == "sample"
            and not (sample["disturbed"] or sample["error"])
        ]
        shares = [
            each["parts"]["unaccounted"] / each["wall_s"]
            for each in facts
            if each["wall_s"] >= LEAST_WALL_S
        ]
        task = arm["per_task"]
        contention = task["contention_s"] / task["wall_s"] if task["wall_s"] else None
        if shares:
            yield Row(mix, arm, shares, contention)


def judge(rows: list[Row], has_gil: bool) -> int:
    """Print the goals and whether they were met; returns how many were not."""
    sleeps = [row for row in rows if row.mix == "sleep 50 ms × 16" and row.threads]
    cpus = [row for row in rows if row.mix == "cpu × 16" and row.threads and has_gil]
    in_one = [row for row in cpus if row.arm["spec"]["batches"] == 1]
    far = [abs((row.contention or 0) - (1 - 1 / row.threads)) for row in in_one]
    worst = max(row.share for row in rows)
    longest = max(row.contention or 0 for row in sleeps)
    goals = [
        (f"unaccounted at most {MOST_UNACCOUNTED:.0%} of the wall time", worst, MOST_UNACCOUNTED),
        ("no contention when threads sleep", longest, NEAR),
        (
            "contention of cpu on n threads 1 - 1/n of a task's time: off by",
            max(far, default=0),
            NEAR,
        ),
    ]
    print()
    for text, found, most in goals:
        print(f"- {'met' if found <= most else '**NOT met**'}: {text}: {found:.2%}")
    return sum(found > most for _, found, most in goals)


def main() -> int:
    with ExitStack() as resources:
        url = resources.enter_context(make_stack()).url
        http = resources.enter_context(httpx.Client(base_url=url, timeout=60.0, trust_env=False))
        rows = measure(http)
        gil = http.get("/v1/workers").raise_for_status().json()["workers"][0]["gil"]
    return judge(rows, gil)


if __name__ == "__main__":
    sys.exit(main())

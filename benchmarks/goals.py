"""The goals of the benchmarks, checked against the results of one run."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.rounds import Result
from benchmarks.workloads import Workload

QUEUES_TIMES = 20.0
NEAR_LIMIT = 1.08
MIXED_LIMIT = 1.5
BETTER = 1.05
LATENCY_TIMES = 3.0
SIMPLE_TIMES = 1.6
SIMPLE_TIMES_BARE = 1.2
TWO_WORKERS = 0.55


@dataclass(frozen=True)
class Facts:
    """The limit that a workload's results are compared with."""

    limit_s: float
    limit_is: str


@dataclass(frozen=True)
class Verdict:
    """One goal, whether it was met, and the figure."""

    goal: str
    is_met: bool
    figure: str


def judge(workload: Workload, results: Sequence[Result], facts: Facts) -> list[Verdict]:
    """The verdicts for these results; fewer when peers were left out."""
    mine = [result for result in results if result.peer == "ours"]
    peers = [result for result in results if result.peer != "ours"]
    if not mine:
        return []
    if workload.name == "W1":
        return _judge_w1(mine[0], peers)
    if workload.name == "W4":
        return _judge_w4(mine, peers)
    allowed = MIXED_LIMIT if workload.name == "W5" else NEAR_LIMIT
    ratio = mine[0].median / facts.limit_s
    verdicts = [
        Verdict(f"{mine[0].name} <= {allowed} x the limit", ratio <= allowed, f"{ratio:.3f} x")
    ]
    verdicts += _judge_peers(mine[0], peers)
    if workload.name == "W3":
        verdicts += _judge_two_workers(mine)
    return verdicts


def _judge_peers(mine: Result, peers: Sequence[Result]) -> list[Verdict]:
    if not peers:
        return []
    best = min(peers, key=lambda r: r.median)
    ratio = mine.median / best.median
    return [
        Verdict("no peer better by more than 5 %", ratio <= BETTER, f"{ratio:.3f} x {best.name}")
    ]


def _judge_w1(mine: Result, peers: Sequence[Result]) -> list[Verdict]:
    verdicts = []
    single = [result for result in peers if result.queue and "per message" not in result.name]
    if single:
        best = min(single, key=lambda r: r.median)
        times = best.median / mine.median
        goal = f">= {QUEUES_TIMES:g} x the best queue with a message per task"
        verdicts.append(Verdict(goal, times >= QUEUES_TIMES, f"{times:.1f} x {best.name}"))
    for result in peers:
        if result.peer in ("dask", "joblib"):
            times = result.median / mine.median
            verdicts.append(Verdict(f"ahead of {result.name}", times > 1, f"{times:.2f} x"))
    return verdicts


def _judge_w4(ours: Sequence[Result], peers: Sequence[Result]) -> list[Verdict]:
    mine, verdicts = ours[0], []
    simple = next((result for result in peers if result.name == "rq-simple, memory"), None)
    for result, allowed in zip(ours, (SIMPLE_TIMES, SIMPLE_TIMES_BARE), strict=False):
        if simple:
            ratio = result.median / simple.median
            goal = f"{result.name}: p50 <= {allowed:g} x RQ SimpleWorker bare, in memory"
            verdicts.append(Verdict(goal, ratio <= allowed, f"{ratio:.2f} x"))
    route = next((result for result in peers if result.name == "rq-simple, route"), None)
    if route:
        ratio = mine.median / route.median
        verdicts.append(
            Verdict("p50 <= RQ SimpleWorker behind a route", ratio <= 1, f"{ratio:.2f} x")
        )
    for label, among in (
        ("behind a route, Redis that syncs", [r for r in peers if r.name.endswith(", route")]),
        ("bare, Redis that syncs", [r for r in peers if r.queue and "," not in r.name]),
        ("bare, Redis in memory", [r for r in peers if r.name.endswith(", memory")]),
    ):
        if among:
            best = min(among, key=lambda r: r.median)
            ratio = mine.median / best.median
            goal = f"p50 <= {LATENCY_TIMES:g} x the fastest queue {label}"
            figure = f"{ratio:.2f} x {best.name} ({best.median * 1e3:.2f} ms)"
            verdicts.append(Verdict(goal, ratio <= LATENCY_TIMES, figure))
    return verdicts


def _judge_two_workers(mine: Sequence[Result]) -> list[Verdict]:
    by_name = {result.name: result for result in mine}
    two, one = by_name.get("ours (2 workers)"), by_name.get("ours (1 worker, 1 process)")
    if not (two and one):
        return []
    ratio = two.median / one.median
    goal = f"two workers <= {TWO_WORKERS} x one worker with one process"
    return [Verdict(goal, ratio <= TWO_WORKERS, f"{ratio:.3f} x")]

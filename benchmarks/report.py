"""Tables and verdicts as Markdown."""

import statistics
from collections.abc import Sequence

from benchmarks.goals import Facts, Verdict, judge
from benchmarks.rounds import Result
from benchmarks.workloads import Workload


def show(workload: Workload, results: Sequence[Result], facts: Facts) -> str:
    """The table of one workload, best first, and the verdicts of its goals."""
    lines = [f"### {workload.name}: {workload.title}", ""]
    lines += _latencies(results) if workload.name == "W4" else _times(workload, results, facts)
    return "\n".join([*lines, "", *map(_verdict, judge(workload, results, facts)), ""])


def _times(workload: Workload, results: Sequence[Result], facts: Facts) -> list[str]:
    limit_s = facts.limit_s
    reference = best_peer(results)
    lines = [
        f"limit {limit_s * 1e3:.1f} ms ({facts.limit_is})",
        "",
        "| contestant | median ms | min – max | tasks/s | x limit | x best peer |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for result in sorted(results, key=lambda r: r.median):
        median = result.median
        few = "" if result.measured == workload.count else f" ({result.measured} tasks, scaled)"
        lines.append(
            f"| {_strong(result)}{few} | {_ms(median)} | "
            f"{_ms(min(result.seconds))} – {_ms(max(result.seconds))} | "
            f"{workload.count / median:,.0f} | {median / limit_s:.2f} | "
            + (f"{median / reference.median:.2f} |" if reference else "– |")
        )
    return lines


def _latencies(results: Sequence[Result]) -> list[str]:
    lines = [
        "| contestant | p50 ms | p90 | min – max | x ours |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    ours = next((r.median for r in results if r.peer == "ours"), None)
    for result in sorted(results, key=lambda r: r.median):
        p90 = statistics.quantiles(result.seconds, n=10)[-1]
        lines.append(
            f"| {_strong(result)} | {_ms(result.median)} | {_ms(p90)} | "
            f"{_ms(min(result.seconds))} – {_ms(max(result.seconds))} | "
            + (f"{result.median / ours:.2f} |" if ours else "– |")
        )
    return lines


def best_peer(results: Sequence[Result]) -> Result | None:
    """The fastest peer."""
    peers = [result for result in results if result.peer != "ours"]
    return min(peers, key=lambda r: r.median, default=None)


def _strong(result: Result) -> str:
    return f"**{result.name}**" if result.peer == "ours" else result.name


def _verdict(verdict: Verdict) -> str:
    return f"- {'met' if verdict.is_met else '**NOT met**'}: {verdict.goal} — {verdict.figure}"


def _ms(seconds: float) -> str:
    ms = seconds * 1e3
    return f"{ms:,.0f}" if ms >= 1000 else f"{ms:.1f}" if ms >= 20 else f"{ms:.2f}"

"""`make bench`: compare batchpool with its peers on the same work, in the same run.

    python -m benchmarks [--only W1,W4] [--peers rq-simple,huey] [--rounds 7] [--quick]

Tables go to stdout as Markdown, progress to stderr.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from batchpool.client import Client
from batchpool.stack.local_stack import LocalStack
from benchmarks import idle_stack, item_costs, latency_breakdown, load, scale
from benchmarks.contestants import contest
from benchmarks.goals import Facts
from benchmarks.machine_noise import QUIET, Neighbours
from benchmarks.own_stack import make_stack
from benchmarks.peer_venvs import version_of
from benchmarks.peers import PEERS
from benchmarks.redis_servers import find_program, redis_server
from benchmarks.report import best_peer, show
from benchmarks.rounds import Plan, Result, find_pace, run_rounds, serial_cpu_s
from benchmarks.workloads import WORKLOADS, Pace, Workload

_ALL = (*WORKLOADS, "W6", "breakdown", "load", "costs", "idle")
_QUICK_ROUNDS = 3


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("--only", help=f"of {','.join(_ALL)}; all by default")
    parser.add_argument("--peers", help=f"of {','.join(PEERS)}; all by default, or 'none'")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="3 rounds, and W6 up to 100,000")
    parser.add_argument(
        "--patience",
        type=float,
        default=60.0,
        help="seconds per workload to wait for other users of this machine to be quiet",
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args(arguments)
    options.only = _chosen(parser, options.only, _ALL)
    none = options.peers == "none"
    options.peers = [] if none else _runnable(_chosen(parser, options.peers, tuple(PEERS)))
    if options.quick:
        options.rounds = min(options.rounds, _QUICK_ROUNDS)
    return options


def _chosen(parser: argparse.ArgumentParser, text: str | None, allowed: Sequence[str]) -> list[str]:
    names = text.split(",") if text else list(allowed)
    for name in names:
        if name not in allowed:
            parser.error(f"{name!r} is unknown; known: {', '.join(allowed)}")
    return names


def _runnable(names: Sequence[str]) -> list[str]:
    """Those that run on this Python; the others are named."""
    here, found = sys.version_info[:2], []
    for name in names:
        if (least := PEERS[name].least_python) <= here:
            found.append(name)
        else:
            needs, has = (".".join(map(str, version)) for version in (least, here))
            print(f"left out: {name} needs Python {needs}, this is {has}", file=sys.stderr)
    return found


def main(arguments: Sequence[str]) -> None:
    options = _parse(arguments)
    # So that everything below is unwound, and nothing of it is left.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(_heading(options))
    found: list[Result] = []
    with ExitStack() as resources:
        servers = {
            "always": resources.enter_context(redis_server(durable=True)),
            "memory": resources.enter_context(redis_server(durable=False)),
        }
        stack = resources.enter_context(make_stack())
        client = resources.enter_context(Client(stack.url))
        pace = find_pace()
        for name in options.only:
            if name in WORKLOADS:
                found += _compare(WORKLOADS[name], options, client, servers, pace)
            else:
                print(_OWN[name](stack, client, options.quick), flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(result) for result in found], indent=1))


_OWN: dict[str, Callable[[LocalStack, Client, bool], str]] = {
    "W6": scale.measure,
    "breakdown": latency_breakdown.measure,
    "load": load.measure,
    "costs": item_costs.measure,
    "idle": idle_stack.measure,
}


def _compare(
    workload: Workload,
    options: argparse.Namespace,
    client: Client,
    servers: Mapping[str, str],
    pace: Pace,
) -> list[Result]:
    cpu_times: list[float] = []

    def between() -> None:
        cpu_times.append(serial_cpu_s(workload, pace))

    neighbours = Neighbours(options.patience)
    plan = Plan(options.rounds, neighbours, between)
    with contest(workload, options.peers, client, servers) as contestants:
        results = run_rounds(workload, contestants, pace, plan)
    print(show(workload, results, _facts(workload, results, cpu_times)))
    print(_disturbed(neighbours.shares), flush=True)
    return results


def _facts(workload: Workload, results: Sequence[Result], cpu_times: Sequence[float]) -> Facts:
    cpu_s = statistics.median(cpu_times)
    limit_s = workload.limit_s(cpu_s)
    if limit_s is not None:
        serial = f", {cpu_s * 1e3:.0f} ms of CPU time in series" if cpu_s > 0.01 else ""
        return Facts(limit_s, f"the machine's{serial}")
    pools = [result for result in results if result.peer.startswith("stdlib")]
    best = best_peer(pools)
    return Facts(best.median, best.name) if best else Facts(1.0, "not measured")


def _disturbed(shares: Sequence[float]) -> str:
    loud = sum(share > QUIET for share in shares)
    return (
        f"Other programs used {statistics.median(shares):.0%} of the CPUs in the median, "
        f"{max(shares):.0%} at most; {loud} of {len(shares)} measurements were disturbed.\n"
    )


def _heading(options: argparse.Namespace) -> str:
    versions = {
        peer.package: version_of(peer.venv, peer.package)
        for name in options.peers
        if (peer := PEERS[name]).venv
    }
    with_versions = ", ".join(f"{name} {version}" for name, version in versions.items())
    load = os.getloadavg()[0]
    return (
        f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load {load:.1f} before, "
        f"{find_program().why}, {options.rounds} rounds; {with_versions or 'no peers'}\n"
    )


if __name__ == "__main__":
    main(sys.argv[1:])

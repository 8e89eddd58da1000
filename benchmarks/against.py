"""`python -m benchmarks.against COMMIT`: compare this checkout with a commit, interleaved.

    python -m benchmarks.against 9831fbc [--only W1,W3,W4] [--rounds 11] [--patience 60]

Each runs its own stack, `batchpool up` from its own checkout and environment; the client of this
checkout submits to both. In each round both are measured in a random order; the ratios are new to
old throughput within a round. On a machine that others use, the CPU time of all processes of a
stack says more: old / new, over all rounds. Tables go to stdout, progress to stderr.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from batchpool.client import Client
from benchmarks.adapters.base import die_with_parent
from benchmarks.machine_noise import QUIET, Neighbours, tree_cpu_s
from benchmarks.own_stack import WORKERS, Ours, Way, ways
from benchmarks.peer_venvs import cache_folder
from benchmarks.peers import ROOT
from benchmarks.rounds import Plan, Result, find_pace, run_rounds
from benchmarks.workloads import WORKLOADS, Pace

GOAL = 0.95
OLD, NEW = "old", "new"


def ensure_checkout(commit: str) -> Path:
    """Check out a commit with its own environment; created once, in the cache."""
    git = ["git", "-C", str(ROOT)]
    named = [*git, "rev-parse", "--verify", f"{commit}^{{commit}}"]
    sha = subprocess.run(named, check=True, capture_output=True, text=True).stdout.strip()
    folder = cache_folder() / f"commit-{sha[:12]}"
    if not folder.exists():
        print(f"setting up {sha[:12]} ...", file=sys.stderr)
        folder.mkdir(parents=True)
        files = subprocess.run([*git, "archive", sha], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", str(folder)], input=files, check=True)
    # Make knows whether the environment is complete.
    subprocess.run(["make", "-s", ".venv/.local"], cwd=folder, check=True, stdout=sys.stderr)
    return folder


@contextmanager
def run_stack(checkout: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Run the stack of a checkout while the block lasts; yields its URL and its process."""
    environ = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    with tempfile.TemporaryDirectory(prefix="bp-") as folder:
        command = [checkout / ".venv" / "bin" / "batchpool", "up", "--port", "0"]
        stack = subprocess.Popen(
            [*command, "--workers", str(WORKERS), "--data", f"{folder}/data"],
            env=environ | {"BATCHPOOL_LOG_LEVEL": "warning"},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            preexec_fn=die_with_parent,
        )
        try:
            assert stack.stdout
            word, _, url = stack.stdout.readline().strip().partition(" ")
            if word != "ready":
                raise RuntimeError(f"the stack of {checkout} does not start")
            yield url, psutil.Process(stack.pid)
        finally:
            stack.terminate()
            stack.wait()


class Metered(Ours):
    """One variant on one stack, with the CPU time that the stack used for what was measured."""

    def __init__(self, name: str, way: Way, client: Client, stack: psutil.Process) -> None:
        super().__init__(client, name, way)
        self._stack = stack
        self._most = 0
        self._used_s: list[float] = []

    @property
    def cpu_s(self) -> float:
        """CPU time per measurement."""
        return statistics.fmean(self._used_s)

    def ask(self, order: Mapping[str, Any]) -> list[float]:
        before = tree_cpu_s(self._stack)
        found = super().ask(order)
        # A smaller order only warms up.
        if order["count"] > self._most:
            self._most, self._used_s = order["count"], []
        if order["count"] == self._most:
            self._used_s.append(tree_cpu_s(self._stack) - before)
        return found


def measure(
    workload: str, stacks: Mapping[str, tuple[Client, psutil.Process]], pace: Pace, plan: Plan
) -> tuple[list[Result], dict[str, float]]:
    """Measure all variants of a workload on both stacks, in rounds; results and CPU times."""
    contestants = [
        Metered(f"{way}, {side}", spec, *stack)
        for way, spec in ways(workload).items()
        for side, stack in stacks.items()
    ]
    results = run_rounds(WORKLOADS[workload], contestants, pace, plan)
    return results, {each.name: each.cpu_s for each in contestants}


def ratios(old: Result, new: Result, rounds: int) -> list[float]:
    """New to old throughput in each round."""
    return [
        statistics.median(before) / statistics.median(after)
        for before, after in zip(_by_round(old, rounds), _by_round(new, rounds), strict=True)
    ]


def _by_round(result: Result, rounds: int) -> list[list[float]]:
    size = len(result.seconds) // rounds
    return [result.seconds[at : at + size] for at in range(0, size * rounds, size)]


def show(workload: str, results: Sequence[Result], cpu_s: Mapping[str, float], rounds: int) -> str:
    """A row per variant; the goal applies to the first."""
    found = {result.name: result for result in results}
    lines = [f"### {workload}: {WORKLOADS[workload].title}", "", _HEAD, "|---|---|---|---|---|---|"]
    for way in ways(workload):
        old, new = found[f"{way}, {OLD}"], found[f"{way}, {NEW}"]
        by_round = ratios(old, new, rounds)
        low, middle, high = statistics.quantiles(by_round, n=4)
        times = " | ".join(f"{result.median * 1e3:.2f} ms" for result in (old, new))
        cpu = cpu_s[old.name] / cpu_s[new.name]
        lines.append(f"| {way} | {times} | {middle:.3f} | {low:.3f} to {high:.3f} | {cpu:.3f} |")
        if way == next(iter(ways(workload))):
            verdict = "met" if middle >= GOAL else "**not met**"
    return "\n".join([*lines, "", f"Goal, new / old >= {GOAL}: {verdict}.", ""])


_HEAD = (
    "| way | old, median | new, median | throughput new / old | middle half of the rounds "
    "| CPU time old / new |"
)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.against", description=__doc__)
    parser.add_argument("commit")
    parser.add_argument("--only", default="W1,W3,W4", help=f"of {','.join(WORKLOADS)}")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument(
        "--patience", type=float, default=60.0, help="seconds to wait for a quiet machine"
    )
    options = parser.parse_args(arguments)
    options.only = options.only.split(",")
    if unknown := set(options.only) - set(WORKLOADS):
        parser.error(f"unknown {sorted(unknown)}; known: {', '.join(WORKLOADS)}")
    if options.rounds < 2:
        parser.error("--rounds must be at least 2")
    return options


def main(arguments: Sequence[str]) -> None:
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    checkouts = {OLD: ensure_checkout(options.commit), NEW: ROOT}
    with ExitStack() as resources:
        stacks = {}
        for side, path in checkouts.items():
            url, process = resources.enter_context(run_stack(path))
            stacks[side] = resources.enter_context(Client(url)), process
        pace = find_pace()
        for workload in options.only:
            neighbours = Neighbours(options.patience)
            plan = Plan(options.rounds, neighbours, between=lambda: None)
            results, cpu_s = measure(workload, stacks, pace, plan)
            print(show(workload, results, cpu_s, options.rounds))
            loud = sum(share > QUIET for share in neighbours.shares)
            print(f"{loud} of {len(neighbours.shares)} measurements were disturbed.\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

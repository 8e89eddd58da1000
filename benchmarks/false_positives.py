"""False positives: how often equal arms get a winner, on recorded noise and on a real stack.

    python -m benchmarks.false_positives simulate [--sessions 2000]     on the noise in noise.json
    python -m benchmarks.false_positives real [--count 40] [--url URL]  with a load that steps up
    python -m benchmarks.false_positives record [--runs 400]            record new noise

Tables go to stdout as Markdown, progress to stderr.
"""

import argparse
import json
import random
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from batchpool.backends.context import RunnerContext
from batchpool.comparisons.analysis.analyse import ComparisonData, analyse
from batchpool.comparisons.analysis.verdicts import Ratio, decide
from batchpool.ledger.values.comparison_entries import (
    ArmSpec,
    ComparisonSpec,
    Environment,
    RunFacts,
    Sample,
    TaskMedians,
)
from batchpool.ledger.values.job_spec import ItemsSummary
from batchpool.model import BatchSpec, RunSpec
from batchpool.runner.run_batch import run_batch
from batchpool.schemas.comparison_responses import Analysis, RatioInfo
from benchmarks import false_positives_live

NOISE = Path(__file__).with_name("noise.json")
STEP = 1.2
TRUE_RATIO = 1 / 1.3
MOST_FALSE = 0.10
LEAST_COVERED = 0.92
MIN_EFFECT = 0.03
_ITEMS = 8
_SEEDS = 50
_SERIES = {
    "cpu, sequential": RunSpec("cpu", {"iterations": 120_000}, "sequential"),
    "cpu, process-pool 2": RunSpec("cpu", {"iterations": 240_000}, "process-pool", 2),
    "mixed, thread-pool 4": RunSpec(
        "mixed", {"seconds": 0.02, "iterations": 60_000}, "thread-pool", 4
    ),
    "hash, thread-pool 2": RunSpec("hash", {"size_bytes": 1 << 20, "rounds": 24}, "thread-pool", 2),
}


def record(runs: int, label: str) -> None:
    """Record the wall times of the same batches, interleaved, one after the other.

    They are kept in the file under `label`, beside earlier records.
    """
    found: dict[str, list[float]] = {name: [] for name in _SERIES}
    with RunnerContext() as context:
        for number in range(runs + 1):
            for name, run in _SERIES.items():
                report = run_batch(BatchSpec(run, range(_ITEMS)), context=context).report
                # The first one of each starts pools and imports tasks.
                if number:
                    found[name].append(round(report.wall_s, 6))
            if number % 50 == 0:
                print(f"{number} of {runs}", file=sys.stderr)
    kept = json.loads(NOISE.read_text()) if NOISE.exists() else {}
    NOISE.write_text(json.dumps(kept | {label: found}) + "\n")


@dataclass(frozen=True)
class Plan:
    """A simulated session: how many arms, of which the last has the true ratio, and rounds."""

    arms: int
    rounds: int
    ratio: float = 1.0
    is_blocked: bool = False

    @property
    def name(self) -> str:
        order = "A A A … B B B" if self.is_blocked else "interleaved"
        return f"{self.arms} arms, {self.rounds} rounds, {order}"


def simulated(plan: Plan, noise: Sequence[float], rng: random.Random) -> ComparisonData:
    """A session whose noise is part of the recorded one, with a step about half-way."""
    places = _order(plan, rng)
    start = rng.randrange(len(noise) - len(places) + 1)
    level = statistics.median(noise)
    # Not at the exact middle, which is the end of a round: a step within a round does more harm.
    step_at = len(places) * rng.uniform(0.4, 0.6)
    step = rng.choice([STEP, 1 / STEP])
    samples = []
    for run, (arm, number) in enumerate(places):
        factor = plan.ratio if arm == plan.arms - 1 else 1.0
        wall_s = noise[start + run] / level * factor * (step if run >= step_at else 1.0)
        samples.append(_sample(arm, number, wall_s))
    spec = ComparisonSpec(
        task="cpu",
        params={},
        count=_ITEMS,
        items=ItemsSummary(_ITEMS, "", []),
        arms=tuple(_arm(f"arm {number}") for number in range(plan.arms)),
        baseline=_arm("alone"),
        reference=0,
        rounds=plan.rounds,
        warmup=0,
        seed=rng.randrange(_SEEDS),
        min_effect=MIN_EFFECT,
        timeout_s=600.0,
        labels={},
    )
    return ComparisonData(spec, samples, Environment())


def _arm(name: str) -> ArmSpec:
    return ArmSpec(backend="sequential", concurrency=1, batches=1, name=name)


def _order(plan: Plan, rng: random.Random) -> list[tuple[int, int]]:
    arms, rounds = range(plan.arms + 1), range(1, plan.rounds + 1)
    if plan.is_blocked:
        return [(arm, number) for arm in range(plan.arms) for number in rounds]
    return [(arm, number) for number in rounds for arm in rng.sample(arms, len(arms))]


def _sample(arm: int, number: int, wall_s: float) -> Sample:
    # The times of the tasks are left out (0): the checks are not tested here.
    facts = RunFacts(
        state="succeeded",
        wall_s=wall_s,
        queue_s=0.0,
        startup_s=0.0,
        checksum="",
        states={"succeeded": _ITEMS},
        tasks=_ITEMS,
        epochs_max=1,
        parts=None,
        per_task=TaskMedians(),
        task_wall_s=0.0,
        task_cpu_s=0.0,
        alone_s=None,
        max_in_flight=1,
        effective_concurrency=[1],
        pool=[None],
        start_method=[None],
        hosts=["host"],
        cpus=2.0,
        gil=[True],
        python=["3"],
    )
    return Sample(
        # Not its place: a check would reject blocks, whose effect is to be shown here.
        run=number,
        kind="sample",
        arm=arm,
        round=number,
        attempt=1,
        job_id="",
        disturbed=None,
        facts=facts,
        error=None,
        took_s=wall_s,
    )


@dataclass(frozen=True)
class Tally:
    """Shares of sessions."""

    winner: float
    without_aa: float
    invalidated: float
    covered: float
    found: float


_EQUAL = (Plan(2, 10), Plan(5, 10), Plan(2, 6), Plan(2, 20), Plan(2, 10, is_blocked=True))
_FASTER = (Plan(2, 10, TRUE_RATIO), Plan(5, 10, TRUE_RATIO), Plan(2, 20, TRUE_RATIO))


def simulate(sessions: int) -> int:
    """Print the shares of false verdicts; returns how many goals were missed."""
    recorded: dict[str, dict[str, list[float]]] = json.loads(NOISE.read_text())
    false, covered = [], []
    print(f"### {sessions:,} simulated sessions per row, with a step of 20 % about half-way\n")
    print(
        "| noise of a | equal arms | false winner | without the A/A control | invalidated by it |"
    )
    print("| --- | --- | ---: | ---: | ---: |")
    for label, noise in recorded.items():
        for plan in _EQUAL:
            found = tally(plan, noise, sessions)
            false += [] if plan.is_blocked else [found.winner]
            print(
                f"| {label} | {plan.name} | {found.winner:.1%} | {found.without_aa:.1%} "
                f"| {found.invalidated:.1%} |"
            )
    print("\n| noise of a | one arm 1.3 times as fast | interval covers it | found |")
    print("| --- | --- | ---: | ---: |")
    for label, noise in recorded.items():
        for plan in _FASTER:
            found = tally(plan, noise, sessions)
            covered.append(found.covered)
            print(f"| {label} | {plan.name} | {found.covered:.1%} | {found.found:.1%} |")
    print()
    goals = [
        (f"at most {MOST_FALSE:.0%} false winners", max(false), max(false) <= MOST_FALSE),
        (f"at least {LEAST_COVERED:.0%} covered", min(covered), min(covered) >= LEAST_COVERED),
    ]
    for text, share, is_met in goals:
        print(f"- {'met' if is_met else '**NOT met**'}: {text}: {share:.1%} in the worst row")
    return sum(not is_met for _, _, is_met in goals)


def tally(plan: Plan, noise: dict[str, list[float]], sessions: int) -> Tally:
    """The shares over this many sessions of a plan; the same sessions each time."""
    rng = random.Random(f"honesty/{plan}")  # the seed of the published tables
    series = list(noise.values())
    answers = [
        _answer(analyse(simulated(plan, series[number % len(series)], rng)))
        for number in range(sessions)
    ]
    return Tally(*(sum(column) / sessions for column in zip(*answers, strict=True)))


def _answer(found: Analysis) -> tuple[bool, ...]:
    arms = found.arms[1:]
    last = arms[-1]
    return (
        any(arm.verdict in ("faster", "slower") for arm in arms),
        any(_would_win(arm.ratio) for arm in arms),
        any(each.kind == "a/a" for each in found.guard),
        last.ratio is not None and last.ratio.low <= TRUE_RATIO <= last.ratio.high,
        last.verdict == "faster",
    )


def _would_win(shown: RatioInfo | None) -> bool:
    if shown is None or shown.p_adjusted is None:
        return False
    ratio = Ratio(shown.value, shown.low, shown.high, shown.p, shown.rounds)
    verdict, _ = decide(ratio, shown.p_adjusted, MIN_EFFECT)
    return verdict != "no difference shown"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.false_positives", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("simulate").add_argument("--sessions", type=int, default=2000)
    noise = kinds.add_parser("record")
    noise.add_argument("--runs", type=int, default=400)
    noise.add_argument("--label", default="here")
    real = kinds.add_parser("real")
    real.add_argument("--count", type=int, default=40)
    real.add_argument("--url", help="a running stack; one is started by default")
    options = parser.parse_args(arguments)
    if options.kind == "simulate":
        return simulate(options.sessions)
    if options.kind == "record":
        record(options.runs, options.label)
        return 0
    return false_positives_live.measure(options.count, options.url)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Valid comparisons on a simulated machine, for the tests of the analysis.

The machine is simple and strict: tasks wait and compute, slots and CPUs are counted, a GIL makes
threads take turns; then come noise, drift and outliers, as much as real machines have.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from batchpool.comparisons.analysis.analyse import ComparisonData, analyse
from batchpool.ledger.values.comparison_entries import ComparisonSpec, Environment
from batchpool.ledger.values.comparison_entries import Sample as SampleValue

Sample = dict[str, Any]


class SessionDocument(NamedTuple):
    """A comparison as JSON, which a test may change before it is analysed."""

    spec: dict[str, Any]
    samples: list[Sample]
    environment: dict[str, Any]

    @property
    def data(self) -> ComparisonData:
        """The values that the analysis takes."""
        return ComparisonData(
            ComparisonSpec.from_json(self.spec),
            [SampleValue.from_json(sample) for sample in self.samples],
            Environment.from_json(self.environment),
        )


def analysed(session: SessionDocument) -> dict[str, Any]:
    """The results of a session as the API shows them."""
    return analyse(session.data).model_dump()


_PER_PROCESS_S = 0.01
_PROCESS_LIKE = ("multiprocessing", "process-pool")


def arm(backend: str, concurrency: int = 1, batches: int = 1, **more: Any) -> dict[str, Any]:
    """An arm as the spec of a comparison shows it."""
    shown = backend if backend == "sequential" else f"{backend} {batches} x {concurrency}"
    return {
        "name": shown,
        "backend": backend,
        "concurrency": concurrency,
        "batches": batches,
        "dispatch": "map" if backend.endswith("-pool") else None,
        "chunksize": None,
        "start_method": "forkserver" if backend in _PROCESS_LIKE else None,
        "pool": "warm" if backend == "process-pool" else None,
        "shared_sum": "none",
        **more,
    }


@dataclass(frozen=True)
class Machine:
    """What is compared, where, and how noisy it is there."""

    seed: int
    arms: list[dict[str, Any]]
    items: int = 8
    rounds: int = 10
    waits_s: float = 0.0
    computes_s: float = 0.5
    cpus: float = 2.0
    gil: bool = True
    noise: float = 0.01
    step: float = 1.0
    """How many times as slow the machine is from the middle of the session on."""
    outliers: int = 0
    hosts: int = 1
    environment: dict[str, Any] = field(default_factory=dict)

    def session(self) -> SessionDocument:
        """All rounds, in shuffled order, each arm and the control once."""
        rng = random.Random(f"session/{self.seed}")
        spec = {
            "task": "mixed",
            "params": {},
            "count": self.items,
            "items": {"count": self.items, "sha256": "0" * 64, "first": []},
            "arms": self.arms,
            "solo": arm("sequential"),
            "reference": 0,
            "rounds": self.rounds,
            "warmup": 1,
            "seed": self.seed,
            "min_effect": 0.03,
            "timeout_s": 600.0,
            "labels": {},
        }
        numbers = [n for _ in range(1) for n in range(len(self.arms) + 1)]
        places = []
        for number in range(1, self.rounds + 1):
            rng.shuffle(numbers)
            places += [(index, number) for index in numbers]
        hit = set(rng.sample(range(len(places)), self.outliers))
        samples = [
            self._sample(rng, index, number, run, len(places), run in hit)
            for run, (index, number) in enumerate(places)
        ]
        return SessionDocument(spec, samples, {"gil": self.gil, **self.environment})

    def _sample(
        self, rng: random.Random, index: int, number: int, run: int, runs: int, is_hit: bool
    ) -> Sample:
        own = self.arms[0 if index == len(self.arms) else index]
        slower = math.exp(rng.gauss(0, self.noise)) * (self.step if run >= runs / 2 else 1.0)
        slower *= rng.uniform(1.5, 3.0) if is_hit else 1.0
        return {
            "kind": "sample",
            "arm": index,
            "round": number,
            "attempt": 1,
            "run": run,
            "job_id": f"{run:024x}",
            "disturbed": None,
            "error": None,
            "took_s": 1.0,
            "facts": self._facts(own, slower),
        }

    def _facts(self, own: dict[str, Any], slower: float) -> dict[str, Any]:
        batches = own["batches"]
        share = -(-self.items // batches)
        slots = min(own["concurrency"], share)
        cpus = self.cpus * min(self.hosts, batches)
        at_once = slots * batches
        in_turns = batches if self.gil and own["backend"] in ("threading", "thread-pool") else cpus
        computing = self.computes_s * slower
        # Tasks in flight wait side by side, and share the CPUs that they may have.
        task_s = max(computing + self.waits_s, computing * at_once / min(in_turns, cpus))
        contention_s = task_s - computing - self.waits_s
        starts_s = _PER_PROCESS_S * slots * slower if own["backend"] in _PROCESS_LIKE else 0.001
        running_s = task_s * self.items / at_once
        wall_s = running_s + starts_s + 0.004
        alone_s = self.computes_s + self.waits_s
        return {
            "state": "succeeded",
            "wall_s": wall_s,
            "queue_s": 0.002,
            "startup_s": starts_s,
            "checksum": "c0ffee",
            "states": {"succeeded": self.items},
            "tasks": self.items,
            "epochs_max": 1,
            "parts": {
                "load": 0.002,
                "startup": starts_s,
                "dispatch": 0.0,
                "cpu": computing * self.items / at_once,
                "waiting": self.waits_s * self.items / at_once,
                "contention": contention_s * self.items / at_once,
                "idle": 0.0,
                "close": 0.002,
                "unaccounted": 0.0,
            },
            "per_task": {
                "wall": task_s,
                "cpu": computing,
                "waiting": self.waits_s,
                "contention": contention_s,
            },
            "task_wall_s": task_s * self.items,
            "task_cpu_s": computing * self.items,
            "task_waiting_s": self.waits_s * self.items,
            "alone_s": {"wall": alone_s * self.items, "cpu": self.computes_s * self.items},
            "max_in_flight": at_once,
            "effective_concurrency": [slots] * batches,
            "pool": [own["pool"] or ("fresh" if own["backend"] == "thread-pool" else None)]
            * batches,
            "start_method": [own["start_method"]] * batches,
            "hosts": [f"host-{n}" for n in range(min(self.hosts, batches))],
            "workers": [f"worker-{n}" for n in range(batches)],
            "cpus": cpus,
            "gil": [self.gil],
            "python": ["3.14.0"],
            "cpu_s": computing * self.items + 0.01,
            "peak_pss_bytes": 60_000_000,
            "throttled_s": 0.0,
            "load_1m": 1.0,
        }


NOTEBOOK = [
    arm("sequential"),
    arm("threading", 4),
    arm("multiprocessing", 4),
    arm("thread-pool", 4),
    arm("process-pool", 4),
]
PAIR = [arm("sequential"), arm("process-pool", 2)]


def base(seed: int) -> Machine:
    """A sound comparison; size, noise and number of arms differ from seed to seed."""
    rng = random.Random(f"base/{seed}")
    return Machine(
        seed=seed,
        arms=rng.choice([NOTEBOOK, PAIR, [*PAIR, arm("thread-pool", 4)]]),
        rounds=rng.randint(10, 14),
        noise=rng.uniform(0.002, 0.02),
        computes_s=rng.uniform(0.1, 1.0),
    )


GOOD: dict[str, Callable[[int], Machine]] = {
    "computing": base,
    "sleeping": lambda seed: replace(base(seed), waits_s=0.5, computes_s=0.001),
    "half and half": lambda seed: replace(base(seed), waits_s=0.2, computes_s=0.2),
    "many slots on few CPUs": lambda seed: replace(
        base(seed),
        arms=[arm("sequential"), arm("thread-pool", 32)],
        items=64,
        waits_s=0.2,
        computes_s=0.002,
    ),
    "no GIL": lambda seed: replace(base(seed), gil=False, cpus=4.0),
    "a step of 20 % half-way": lambda seed: replace(base(seed), step=1.2),
    "a step of half as much again": lambda seed: replace(base(seed), step=1.5),
    "noisy": lambda seed: replace(base(seed), noise=0.08),
    "outliers": lambda seed: replace(base(seed), outliers=3),
    "scale-out on four hosts": lambda seed: replace(
        base(seed),
        arms=[arm("process-pool", 8 // n, n) for n in (1, 2, 4, 8)],
        items=32,
        hosts=4,
    ),
    "two equal arms": lambda seed: replace(
        base(seed), arms=[arm("thread-pool", 4), arm("thread-pool", 4, name="the same")]
    ),
    "no sequential arm": lambda seed: replace(
        base(seed), arms=[arm("thread-pool", 4), arm("process-pool", 2), arm("process-pool", 4)]
    ),
    "a third of a CPU": lambda seed: replace(base(seed), cpus=1 / 3, computes_s=0.05, waits_s=0.3),
    "fresh pools": lambda seed: replace(
        base(seed), arms=[arm("sequential"), arm("process-pool", 4, pool="fresh")]
    ),
    "fewer items than slots": lambda seed: replace(
        base(seed), arms=[arm("sequential"), arm("process-pool", 16)], items=6, cpus=16.0
    ),
    "many rounds": lambda seed: replace(base(seed), rounds=40),
}


def good(kind: str, seed: int) -> SessionDocument:
    """A comparison in which no check may find an error."""
    return GOOD[kind](seed).session()


def of_arm(session: SessionDocument, index: int) -> list[Sample]:
    """The samples of an arm, by round."""
    return sorted((s for s in session.samples if s["arm"] == index), key=lambda s: s["round"])

"""Invalid comparisons, each in one way, which a check must find."""

import copy
import math
import random
from collections.abc import Callable
from typing import Any

from tests.unit.comparisons.analysis.sample_sessions import Sample, SessionDocument, base, of_arm


def _edit(
    change: Callable[[random.Random, SessionDocument], None],
) -> Callable[[int], SessionDocument]:
    def make(seed: int) -> SessionDocument:
        session = copy.deepcopy(base(seed).session())
        change(random.Random(f"bad/{seed}"), session)
        return session

    return make


def _other_arm(rng: random.Random, session: SessionDocument) -> list[Sample]:
    """The samples of one arm that is not the reference."""
    return of_arm(session, rng.randrange(1, len(session.spec["arms"])))


def _some(rng: random.Random, samples: list[Sample]) -> list[Sample]:
    """Some of them, but not all."""
    return rng.sample(samples, rng.randint(1, len(samples) - 1))


def _scale(facts: dict[str, Any], factor: float, names: tuple[str, ...]) -> None:
    for name in names:
        facts[name] *= factor


def _impossible_speedup(rng: random.Random, session: SessionDocument) -> None:
    factor = rng.uniform(3.0, 10.0)
    for sample in _other_arm(rng, session):
        slots = sum(sample["facts"]["effective_concurrency"])
        _scale(
            sample["facts"], 1 / factor / slots, ("wall_s", "task_wall_s", "task_cpu_s", "cpu_s")
        )


def _more_cpu_than_there_is(rng: random.Random, session: SessionDocument) -> None:
    for sample in _some(rng, _other_arm(rng, session)):
        facts = sample["facts"]
        facts["cpu_s"] = facts["wall_s"] * facts["cpus"] * rng.uniform(1.5, 4.0) + 0.1


def _unequal_checksums(rng: random.Random, session: SessionDocument) -> None:
    for sample in _other_arm(rng, session):
        sample["facts"]["checksum"] = "bad"


def _unstable_checksums(rng: random.Random, session: SessionDocument) -> None:
    for sample in _some(rng, _other_arm(rng, session)):
        sample["facts"]["checksum"] = f"bad-{rng.random()}"


def _unequal_concurrency(rng: random.Random, session: SessionDocument) -> None:
    for sample in _some(rng, _other_arm(rng, session)):
        sample["facts"]["effective_concurrency"] = [1]


def _concurrency_not_reached(rng: random.Random, session: SessionDocument) -> None:
    for sample in _other_arm(rng, session):
        sample["facts"]["max_in_flight"] -= 1


def _throttled(rng: random.Random, session: SessionDocument) -> None:
    for sample in _some(rng, _other_arm(rng, session)):
        sample["facts"]["throttled_s"] = sample["facts"]["wall_s"] * rng.uniform(0.05, 0.6)


def _killed_worker(rng: random.Random, session: SessionDocument) -> None:
    rng.choice(_other_arm(rng, session))["facts"]["epochs_max"] = rng.randint(2, 4)


def _crashed_task(rng: random.Random, session: SessionDocument) -> None:
    facts = rng.choice(_other_arm(rng, session))["facts"]
    facts["states"] = {"succeeded": facts["tasks"] - 1, "crashed": 1}


def _gil_in_some_runs(rng: random.Random, session: SessionDocument) -> None:
    for sample in _some(rng, list(session.samples)):
        sample["facts"]["gil"] = [False]


def _gil_other_than_announced(rng: random.Random, session: SessionDocument) -> None:
    for sample in session.samples:
        sample["facts"]["gil"] = [not session.environment["gil"]]


def _mixed_pools(rng: random.Random, session: SessionDocument) -> None:
    for sample in _some(rng, _pooled(session)):
        sample["facts"]["pool"] = ["fresh"]


def _cold_pools(rng: random.Random, session: SessionDocument) -> None:
    for sample in _pooled(session):
        sample["facts"]["pool"] = ["fresh"]


def _pooled(session: SessionDocument) -> list[Sample]:
    arms = session.spec["arms"]
    return of_arm(session, next(n for n, a in enumerate(arms) if a["backend"] == "process-pool"))


def _other_hosts(rng: random.Random, session: SessionDocument) -> None:
    for sample in _some(rng, _other_arm(rng, session)):
        sample["facts"]["hosts"] = ["another"]


def _arms_on_other_hosts(rng: random.Random, session: SessionDocument) -> None:
    for sample in _other_arm(rng, session):
        sample["facts"]["hosts"] = ["another"]


def _other_cpus(rng: random.Random, session: SessionDocument) -> None:
    for sample in _some(rng, _other_arm(rng, session)):
        sample["facts"]["cpus"] *= 2


def _other_python(rng: random.Random, session: SessionDocument) -> None:
    for sample in _other_arm(rng, session):
        sample["facts"]["python"] = ["3.11.9"]


def _failed_items(rng: random.Random, session: SessionDocument) -> None:
    facts = rng.choice(_other_arm(rng, session))["facts"]
    facts["state"] = "failed"
    facts["states"] = {"succeeded": facts["tasks"] - 1, "failed": 1}


def _failed_run(rng: random.Random, session: SessionDocument) -> None:
    sample = rng.choice(_other_arm(rng, session))
    sample["facts"], sample["error"] = None, "timeout: not done after 600 s"


def _a_a_differs(rng: random.Random, session: SessionDocument) -> None:
    factor = rng.choice([rng.uniform(1.15, 1.6), 1 / rng.uniform(1.15, 1.6)])
    for sample in of_arm(session, len(session.spec["arms"])):
        sample["facts"]["wall_s"] *= factor


def _no_a_a(rng: random.Random, session: SessionDocument) -> None:
    control = len(session.spec["arms"])
    session.samples[:] = [s for s in session.samples if s["arm"] != control]


def _large_drift(rng: random.Random, session: SessionDocument) -> None:
    factor = rng.uniform(2.5, 5.0)
    for sample in session.samples:
        if sample["round"] > session.spec["rounds"] / 2:
            for name in ("wall_s", "task_wall_s", "task_cpu_s", "cpu_s"):
                sample["facts"][name] *= factor


def _missing_rounds(rng: random.Random, session: SessionDocument) -> None:
    gone = [id(s) for s in _some(rng, _other_arm(rng, session))]
    session.samples[:] = [s for s in session.samples if id(s) not in gone]


def _only_disturbed(rng: random.Random, session: SessionDocument) -> None:
    rng.choice(_other_arm(rng, session))["disturbed"] = "a foreign batch ran on its host"


def _measured_twice(rng: random.Random, session: SessionDocument) -> None:
    session.samples.append(copy.deepcopy(rng.choice(_other_arm(rng, session))))


def _unequal_items(rng: random.Random, session: SessionDocument) -> None:
    for sample in _some(rng, _other_arm(rng, session)):
        sample["facts"]["tasks"] -= 1
        sample["facts"]["states"] = {"succeeded": sample["facts"]["tasks"]}


def _blocked_order(rng: random.Random, session: SessionDocument) -> None:
    ordered = sorted(session.samples, key=lambda s: (s["arm"], s["round"]))
    for run, sample in enumerate(ordered):
        sample["run"] = run


def _other_start_method(rng: random.Random, session: SessionDocument) -> None:
    for sample in _some(rng, _pooled(session)):
        sample["facts"]["start_method"] = ["spawn"]


def _clock_was_set(rng: random.Random, session: SessionDocument) -> None:
    sample = rng.choice(_other_arm(rng, session))
    sample["facts"]["wall_s"] = rng.choice([0.0, -1.0, math.nan])


INVALID: dict[str, tuple[str, Callable[[int], SessionDocument]]] = {
    change.__name__.strip("_"): (kind, _edit(change))
    for kind, change in (
        ("impossible", _impossible_speedup),
        ("impossible", _more_cpu_than_there_is),
        ("checksum", _unequal_checksums),
        ("checksum", _unstable_checksums),
        ("concurrency", _unequal_concurrency),
        ("concurrency", _concurrency_not_reached),
        ("throttled", _throttled),
        ("killed", _killed_worker),
        ("killed", _crashed_task),
        ("gil", _gil_in_some_runs),
        ("gil", _gil_other_than_announced),
        ("pool", _mixed_pools),
        ("pool", _cold_pools),
        ("place", _other_hosts),
        ("place", _arms_on_other_hosts),
        ("place", _other_cpus),
        ("place", _other_python),
        ("failed", _failed_items),
        ("failed", _failed_run),
        ("a/a", _a_a_differs),
        ("a/a", _no_a_a),
        ("drift", _large_drift),
        ("rounds", _missing_rounds),
        ("rounds", _only_disturbed),
        ("rounds", _measured_twice),
        ("items", _unequal_items),
        ("order", _blocked_order),
        ("start_method", _other_start_method),
        ("clock", _clock_was_set),
    )
}
"""What is invalid -> (kind of the finding that must report it, its maker)."""


def invalid(name: str, seed: int) -> SessionDocument:
    """A comparison in which a check must find an error."""
    return INVALID[name][1](seed)

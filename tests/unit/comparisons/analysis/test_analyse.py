"""The results as a whole: verdicts, conclusion, grid, and that they are JSON."""

import json
from dataclasses import replace
from typing import Any

import pytest

from batchpool.comparisons.analysis.verdicts import Ratio, decide, shows_a_difference
from tests.unit.comparisons.analysis.invalid_sessions import INVALID, invalid
from tests.unit.comparisons.analysis.sample_sessions import (
    GOOD,
    NOTEBOOK,
    Machine,
    analysed,
    arm,
    good,
    of_arm,
)

CPU = Machine(seed=1, arms=NOTEBOOK, computes_s=0.3)
SLEEP = Machine(seed=1, arms=NOTEBOOK, waits_s=0.3, computes_s=0.0005)


def _arm(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(a for a in document["arms"] if a["name"].startswith(name))
    return found


@pytest.mark.parametrize("kind", GOOD)
def test_a_document_is_json(kind: str) -> None:
    document = analysed(good(kind, 9))
    assert json.loads(json.dumps(document, allow_nan=False)) == document


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_comparison_has_results_and_a_conclusion_too(name: str) -> None:
    document = analysed(invalid(name, 9))
    json.dumps(document)
    assert 1 <= len(document["conclusion"]) <= 3


def test_computing_under_a_gil_needs_processes_and_the_conclusion_says_why() -> None:
    document = analysed(CPU.session())
    for name in ("threading", "thread-pool"):
        assert _arm(document, name)["verdict"] == "no difference shown"
    for name in ("multiprocessing", "process-pool"):
        found = _arm(document, name)
        assert found["verdict"] == "faster"
        assert found["speedup"]["low"] < 1.95 < 2.0 > found["speedup"]["high"] - 0.05
    text = " ".join(document["conclusion"])
    assert "GIL" in text
    assert "Use process-pool" in text or "Use multiprocessing" in text


def test_sleeping_tasks_gain_from_any_concurrency_because_they_wait() -> None:
    document = analysed(SLEEP.session())
    assert all(a["verdict"] == "faster" for a in document["arms"][1:])
    text = " ".join(document["conclusion"])
    assert "waits for 100% of its time" in text
    assert "GIL" not in text
    assert "starting threads, processes or pools" in text
    assert "4 faster arms with 4 tasks in flight are within" in text


@pytest.mark.parametrize(
    "machine",
    [
        replace(CPU, gil=False),
        replace(CPU, cpus=1.0),
        replace(SLEEP, seed=3),
    ],
    ids=["no GIL", "one CPU", "sleep"],
)
def test_the_gil_is_not_named_where_it_was_not_measured(machine: Machine) -> None:
    assert "GIL" not in " ".join(analysed(machine.session())["conclusion"])


def test_the_gil_is_not_named_without_contention() -> None:
    session = CPU.session()
    for index in (1, 3):
        for sample in of_arm(session, index):
            sample["facts"]["per_task"]["contention"] = 0.0
    assert "GIL" not in " ".join(analysed(session)["conclusion"])


def test_a_verdict_needs_interval_effect_and_test() -> None:
    ratio = Ratio(value=0.8, low=0.75, high=0.85, p=0.002, rounds=10)
    assert decide(ratio, 0.01, 0.03)[0] == "faster"
    assert decide(replace(ratio, value=1.25, low=1.2, high=1.3), 0.01, 0.03)[0] == "slower"
    for weaker, p_adjusted, why in (
        (replace(ratio, high=1.01), 0.01, "contains 1"),
        (replace(ratio, value=0.98, high=0.99), 0.01, "effect"),
        (ratio, 0.06, "adjusted p"),
    ):
        verdict, reason = decide(weaker, p_adjusted, 0.03)
        assert verdict == "no difference shown"
        assert why in reason


def test_six_rounds_can_fail_the_a_a_check_if_all_agree() -> None:
    six = Ratio(value=1.2, low=1.1, high=1.3, p=2 / 64, rounds=6)
    assert shows_a_difference(six, 0.03)
    assert not shows_a_difference(replace(six, p=4 / 64), 0.03)
    assert not shows_a_difference(replace(six, rounds=12), 0.03)


def test_holm_counts_all_arms() -> None:
    document = analysed(CPU.session())
    best = _arm(document, "process-pool")["ratio"]
    assert best["p"] == 2 / 2**10
    assert best["p_adjusted"] == pytest.approx(4 * 2 / 2**10)


def test_outliers_are_flagged_and_not_dropped() -> None:
    session = CPU.session()
    of_arm(session, 4)[6]["facts"]["wall_s"] *= 1.4
    found = analysed(session)["arms"][4]
    assert found["outliers"] == [7]
    assert len(found["samples"]) == 10


def test_a_grid_of_equally_many_tasks_in_flight_is_a_table_and_a_heat_map() -> None:
    arms = [arm("process-pool", 8 // n, n) for n in (1, 2, 4, 8)]
    document = analysed(Machine(seed=2, arms=arms, items=32, hosts=4).session())
    (table,) = document["grid"]["tables"]
    assert table["in_flight"] == 8
    assert [(c["batches"], c["concurrency"]) for c in table["cells"]] == [
        (1, 8),
        (2, 4),
        (4, 2),
        (8, 1),
    ]
    assert [cell["cpus"] for cell in table["cells"]] == [2, 4, 8, 8]
    assert [len(cell["hosts"]) for cell in table["cells"]] == [1, 2, 4, 4]
    (heat,) = document["grid"]["heatmaps"]
    assert (heat["batches"], heat["concurrency"]) == ([1, 2, 4, 8], [1, 2, 4, 8])
    assert heat["median_s"][1][2] == table["cells"][1]["median_s"]
    assert heat["median_s"][1][3] is None


def test_arms_of_one_batch_make_no_grid() -> None:
    assert analysed(CPU.session())["grid"] is None


def test_parts_are_shown_per_arm_and_add_up() -> None:
    for found in analysed(CPU.session())["arms"]:
        assert sum(found["parts"].values()) == pytest.approx(found["median_s"], rel=0.02)

"""The checks find every kind of invalid comparison, and no error in a valid one."""

import copy
from dataclasses import replace

import pytest

from tests.unit.comparisons.analysis.invalid_sessions import INVALID, invalid
from tests.unit.comparisons.analysis.sample_sessions import (
    GOOD,
    NOTEBOOK,
    SessionDocument,
    analysed,
    arm,
    base,
    good,
    of_arm,
)

SEEDS = range(5)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_comparison_is_flagged_and_loses_its_verdict(name: str, seed: int) -> None:
    document = analysed(invalid(name, seed))
    kind = INVALID[name][0]
    found = [each for each in document["guard"] if each["kind"] == kind]
    assert found, document["guard"]
    for each in found:
        hit = [a for a in document["arms"] if each["arm"] in (None, a["name"])]
        assert hit
        assert all(a["verdict"] is None for a in hit)
        assert all(each["message"] in a["why"] for a in hit if a["index"] != 0)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", GOOD)
def test_a_valid_comparison_is_not_flagged(kind: str, seed: int) -> None:
    document = analysed(good(kind, seed))
    assert document["guard"] == []
    assert all(a["verdict"] for a in document["arms"] if a["index"] != 0)


def test_an_arm_that_fails_leaves_the_others_their_verdicts() -> None:
    session = copy.deepcopy(replace(base(1), arms=NOTEBOOK).session())
    for sample in of_arm(session, 1)[2:]:
        sample["facts"], sample["error"] = None, "failed: no memory"
    arms = analysed(session)["arms"]
    assert arms[1]["verdict"] is None
    assert "no memory" in arms[1]["why"]
    assert [a["verdict"] is None for a in arms] == [True, True, False, False, False]


def test_an_error_of_the_reference_takes_every_verdict() -> None:
    session = copy.deepcopy(base(2).session())
    of_arm(session, 0)[3]["facts"]["epochs_max"] = 2
    document = analysed(session)
    assert [each["arm"] for each in document["guard"]] == [None]
    assert all(a["verdict"] is None for a in document["arms"])


def test_a_disturbed_run_that_was_repeated_is_no_error_and_not_counted() -> None:
    session = copy.deepcopy(base(3).session())
    before = analysed(session)
    again = copy.deepcopy(of_arm(session, 1)[4])
    again["disturbed"], again["facts"]["wall_s"] = "a foreign batch", 99.0
    of_arm(session, 1)[4]["attempt"] = 2
    document = analysed(
        SessionDocument(session.spec, [again, *session.samples], session.environment)
    )
    assert document["guard"] == []
    assert document["arms"][1]["samples"] == before["arms"][1]["samples"]
    assert document["arms"][1]["disturbed"] == 1


def test_warm_up_and_baseline_runs_are_no_samples() -> None:
    session = base(4).session()
    extra = {**session.samples[0], "kind": "warmup"}
    baseline = {**session.samples[0], "kind": "solo", "arm": -1}
    document = analysed(
        SessionDocument(session.spec, [extra, baseline, *session.samples], session.environment)
    )
    assert document["guard"] == []


def test_short_runs_are_a_warning_with_the_items_that_would_be_enough() -> None:
    document = analysed(replace(base(5), computes_s=0.001, waits_s=0.004, items=8).session())
    short = [each for each in document["warnings"] if each["kind"] == "short"]
    assert short
    assert "items would reach it" in short[0]["message"]
    assert document["guard"] == []


def test_slots_that_short_tasks_cannot_fill_are_a_warning() -> None:
    machine = replace(base(6), arms=[arm("sequential"), arm("threading", 4)], items=1000)
    session = replace(machine, waits_s=0.001, computes_s=0.0001).session()
    for sample in of_arm(session, 1):
        sample["facts"]["max_in_flight"] = 2
    document = analysed(session)
    assert document["guard"] == []
    assert "concurrency" in {each["kind"] for each in document["warnings"]}


def test_a_change_of_speed_is_a_warning() -> None:
    document = analysed(good("a step of 20 % half-way", 7))
    assert "drift" in {each["kind"] for each in document["warnings"]}

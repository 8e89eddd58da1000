"""Both laws find the parameters of made-up data, and refuse data without any."""

import json
from dataclasses import replace
from typing import Any

import pytest

from batchpool.comparisons.analysis.scalability_laws import Fit, fit
from tests.unit.comparisons.analysis.sample_sessions import (
    Machine,
    SessionDocument,
    analysed,
    arm,
    base,
    of_arm,
)

SLOTS = [1, 2, 4, 8, 16]


@pytest.mark.parametrize(("serial", "crosstalk"), [(0.05, 0.001), (0.3, 0.0), (0.0, 0.02)])
def test_a_fit_finds_the_parameters_of_exact_data(serial: float, crosstalk: float) -> None:
    true = Fit(2.0, serial, crosstalk, 0.0)
    found = fit("usl", SLOTS, [true.time_s(n) for n in SLOTS])
    assert found.alone_s == pytest.approx(2.0)
    assert found.serial == pytest.approx(serial, abs=1e-9)
    assert found.crosstalk == pytest.approx(crosstalk, abs=1e-9)
    assert found.error == pytest.approx(0, abs=1e-9)


def test_a_fit_to_real_data_agrees_with_scipy() -> None:
    # SPEC SDM91 on a SPARCcenter 2000, as in R's package usl; scipy's optimize.least_squares of
    # the relative errors. The throughput is known to peak at a load of about 96.
    slots = [1, 18, 36, 72, 108, 144, 216]
    per_hour = [64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2]
    found = fit("usl", slots, [1 / x for x in per_hour])
    assert found.alone_s == pytest.approx(0.01467121, rel=1e-6)
    assert found.serial == pytest.approx(0.01336125, rel=1e-5)
    assert found.crosstalk == pytest.approx(0.0001152, rel=1e-4)
    assert found.error == pytest.approx(0.05700101, rel=1e-6)
    assert found.knee == pytest.approx(96, rel=0.05)


def test_amdahls_law_has_no_crosstalk_and_stays_within_its_bounds() -> None:
    retrograde = [1.0, 1.1, 1.3, 1.7, 2.5]
    found = fit("amdahl", SLOTS, retrograde)
    assert (found.serial, found.crosstalk) == (1, 0)
    assert found.knee is None
    superlinear = [1.0, 0.45, 0.2, 0.09, 0.04]
    assert fit("usl", SLOTS, superlinear).serial == 0


def test_the_knee_is_where_throughput_peaks() -> None:
    law = Fit(1.0, 0.02, 0.005, 0.0)
    times = {n: law.time_s(n) for n in range(1, 40)}
    assert law.knee == pytest.approx(min(times, key=times.__getitem__), abs=0.6)


SERIES = [arm("thread-pool", n) for n in (1, 2, 4, 8)]
WAITS = Machine(seed=1, arms=SERIES, items=64, waits_s=0.1, computes_s=0.001, noise=0.005)


def _with_law(machine: Machine, law: Fit) -> SessionDocument:
    """The machine's session, its times by that law instead."""
    session = machine.session()
    for index, own in enumerate([*machine.arms, machine.arms[0]]):
        for sample in of_arm(session, index):
            facts = sample["facts"]
            facts["wall_s"] = law.time_s(own["concurrency"])
            facts["task_wall_s"] = facts["task_cpu_s"] = facts["cpu_s"] = 0.0
            facts["alone_s"] = None
    return session


def _models(session: SessionDocument) -> dict[str, Any]:
    document = analysed(session)
    assert document["guard"] == []
    json.dumps(document["model"], allow_nan=False)
    found: dict[str, Any] = document["model"]["ladders"][0]
    return found


def test_arms_that_differ_in_concurrency_are_fitted_with_intervals() -> None:
    found = _models(WAITS.session())
    for law in ("amdahl", "usl"):
        assert found[law]["refused"] is None
        serial = found[law]["serial"]
        assert serial["low"] <= serial["value"] <= serial["high"] < 0.02
    assert found["amdahl"]["best_n"] == 16
    assert found["amdahl"]["extrapolated"] is True
    assert found["concurrency"] == [1, 2, 4, 8]


def test_a_knee_is_found_with_the_best_concurrency_before_it() -> None:
    law = Fit(6.4, 0.05, 0.02, 0.0)
    found = _models(_with_law(WAITS, law))["usl"]
    assert found["serial"]["value"] == pytest.approx(0.05, abs=1e-6)
    assert found["knee"]["value"] == pytest.approx(law.knee)
    assert found["knee"]["low"] <= found["knee"]["value"] <= found["knee"]["high"]
    assert 1 < found["best_n"] <= found["knee"]["value"] + 1
    assert found["extrapolated"] is False


def test_threads_under_a_gil_are_wholly_serial() -> None:
    found = _models(replace(WAITS, waits_s=0.0, computes_s=0.05).session())
    assert found["amdahl"]["serial"]["value"] > 0.97
    assert found["usl"]["best_n"] == 1


def test_slots_that_the_items_cannot_fill_count_by_the_turns_they_take() -> None:
    machine = replace(WAITS, items=8, arms=[arm("thread-pool", n) for n in (1, 3, 4)])
    assert _models(machine.session())["lanes"] == pytest.approx([1, 8 / 3, 4])


def test_a_sequential_arm_is_the_first_point_of_a_series_without_one() -> None:
    machine = replace(WAITS, arms=[arm("sequential"), *SERIES[1:3]])
    found = _models(machine.session())
    assert found["concurrency"] == [1, 2, 4]
    assert found["refused"] is None


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        (replace(WAITS, arms=SERIES[:2]), "2 concurrencies"),
        (replace(WAITS, items=2, waits_s=1.0), "with 2 items only 2 concurrencies differ"),
        (replace(WAITS, rounds=4), "4 rounds"),
    ],
)
def test_too_little_data_are_refused(machine: Machine, reason: str) -> None:
    assert reason in _models(machine.session())["refused"]


def test_flagged_arms_are_refused() -> None:
    session = WAITS.session()
    of_arm(session, 2)[0]["facts"]["epochs_max"] = 2
    found = analysed(session)["model"]["ladders"][0]
    assert "thread-pool 1 x 4" in found["refused"]


def test_points_on_no_such_curve_are_refused() -> None:
    session = _with_law(WAITS, Fit(6.4, 0.0, 0.0, 0.0))
    for sample in of_arm(session, 2):
        sample["facts"]["wall_s"] *= 2
    found = _models(session)
    assert "off the best such curve" in found["amdahl"]["refused"]


def test_noise_that_hides_the_serial_share_is_refused() -> None:
    noisy = replace(WAITS, noise=0.5, waits_s=0.0001, computes_s=0.05, rounds=6, gil=False)
    refused = 0
    for seed in range(10):
        found = analysed(replace(noisy, seed=seed).session())["model"]["ladders"][0]
        refused += bool(found["refused"] or found["usl"]["refused"])
    assert refused >= 8


def test_arms_that_differ_otherwise_are_no_models() -> None:
    arms = [arm("sequential"), arm("threading", 2), arm("process-pool", 4)]
    assert analysed(replace(base(1), arms=arms).session())["model"] is None


def test_no_concurrency_is_predicted_to_beat_the_cpus() -> None:
    arms = [arm("process-pool", n) for n in (1, 2, 3)]
    machine = replace(WAITS, arms=arms, waits_s=0.0, computes_s=0.05, cpus=2.0, items=60)
    session = machine.session()
    for sample in session.samples:
        slots = sample["facts"]["effective_concurrency"][0]
        sample["facts"]["wall_s"] = Fit(3.0, 0.1, 0.0, 0.0).time_s(slots)
        sample["facts"]["task_wall_s"] = sample["facts"]["cpu_s"] = 0.0
        sample["facts"]["task_cpu_s"] = 2.4
        sample["facts"]["alone_s"] = {"wall": 0.0, "cpu": 0.0}
    found = _models(session)["amdahl"]
    assert found["best_s"] == pytest.approx(1.2)
    assert found["best_n"] == 3

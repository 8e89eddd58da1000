"""`batchpool demo --json`, run once as a user runs it; what it must show on any machine.

In `make test` it waits for half as long and computes in one round.
"""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from batchpool.cli.demo.run import CPU_ROUNDS, SIX_WAYS, SLEEP_ITEMS, SLEEP_S, standard_library
from tests.support.sampling import full
from tests.support.waiting import check_time

MARK = "BATCHPOOL_TEST"
DEMO = uuid.uuid4().hex


@dataclass(frozen=True)
class Size:
    """How large a demo is, and the program that runs it."""

    sleep_s: float
    cpu_rounds: int
    command: Sequence[str]


SHORTER = """
from batchpool.cli.demo import run as demo
from batchpool.cli.main import main
demo.SLEEP_S, demo.CPU_ROUNDS = 1.0, 1
main(prog_name="batchpool")
"""
SMALL = Size(1.0, 1, ["-c", SHORTER])
AS_IT_IS = Size(SLEEP_S, CPU_ROUNDS, ["-m", "batchpool"])


@pytest.fixture(scope="module", params=[pytest.param(SMALL, id="small"), *full(AS_IT_IS)])
def size(request: pytest.FixtureRequest) -> Size:
    chosen: Size = request.param
    return chosen


@pytest.fixture(scope="module")
def told(size: Size) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *size.command, "demo", "--json"],
        env={**os.environ, MARK: DEMO, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )


@pytest.fixture(scope="module")
def report(told: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert told.returncode == 0, told.stderr
    return dict(json.loads(told.stdout))


def rows(report: dict[str, Any], section: int) -> dict[str, dict[str, Any]]:
    return {row["way"]: row for row in report["sections"][section]["rows"]}


def test_it_runs_the_six_ways_twice_and_real_input_on_one_and_two_batches(
    report: dict[str, Any],
) -> None:
    ways = [way.name for way in SIX_WAYS]
    assert [list(rows(report, n)) for n in range(3)] == [ways, ways, ["1 batch", "2 batches"]]


def test_it_is_over_in_90_seconds_and_leaves_no_process(report: dict[str, Any]) -> None:
    check_time("the demo", report["total_s"], 90)
    left = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == DEMO:
                left.append(process.cmdline())
        except (psutil.Error, OSError):
            pass
    assert left == []


def test_waiting_overlaps_in_every_way_but_the_sequential_one(
    report: dict[str, Any], size: Size
) -> None:
    sleep = rows(report, 0)
    assert sleep["sequential"]["wall_s"] >= SLEEP_ITEMS * size.sleep_s
    for way in sleep.keys() - {"sequential"}:
        # 0.0 to 1.2 s more on a quiet machine.
        assert size.sleep_s <= sleep[way]["wall_s"] < SLEEP_ITEMS * size.sleep_s, way


def test_the_pids_tell_threads_from_processes(report: dict[str, Any]) -> None:
    pids = {way: row["pids"] for way, row in rows(report, 0).items()}
    assert pids.pop("multiprocessing") == 5
    assert 1 <= pids.pop("process-pool map") <= 5
    assert set(pids.values()) == {1}


def test_threads_share_the_global_and_processes_do_not(report: dict[str, Any]) -> None:
    for section, total in ((0, 10), (1, 28)):
        for way, row in rows(report, section).items():
            assert row["sum"] == total
            assert row["observed"] == (0 if "process" in way else total), way


def test_only_processes_may_call_more_tasks_in_flight_a_speedup(report: dict[str, Any]) -> None:
    cpu = rows(report, 1)
    assert cpu["sequential"]["speedup"] is None
    for way, row in cpu.items():
        if way != "sequential":
            assert row["parallelism"] > 1.5, way
            assert row["speedup"] == pytest.approx(cpu["sequential"]["wall_s"] / row["wall_s"])


def test_a_conclusion_about_computing_is_drawn_only_without_doubts(
    report: dict[str, Any], size: Size
) -> None:
    cpu = report["sections"][1]
    assert {len(row["round_speedups"]) for row in cpu["rows"][1:]} == {size.cpu_rounds}
    drawn = [lesson.startswith("Computing") for lesson in report["lessons"]]
    if cpu["doubts"]:
        assert not any(drawn)
        assert all(doubt in report["lessons"][0] for doubt in cpu["doubts"])
    else:
        assert sum(drawn) == 1


def test_the_lines_are_those_of_the_files(report: dict[str, Any]) -> None:
    root, sources = standard_library()
    lines = sum((root / name).read_bytes().count(b"\n") for name in sources)
    assert len(sources) > 500
    assert {row["sum"] for row in rows(report, 2).values()} == {lines}
    assert rows(report, 2)["2 batches"]["workers"] == 2


def test_data_is_on_stdout_and_progress_on_stderr(
    told: subprocess.CompletedProcess[str], report: dict[str, Any]
) -> None:
    assert "sleep: threading" in told.stderr
    assert told.stdout.startswith("{")

"""What the demo says follows from what it measured."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batchpool.charts.timeline_arms import ArmRun
from batchpool.cli.demo.file import write_demo_file
from batchpool.cli.demo.output import print_demo
from batchpool.cli.demo.report import (
    DemoReport,
    Row,
    Section,
    median_row,
    row_of,
)
from batchpool.client.resources import Job
from batchpool.lessons.doubts import doubts_about
from tests.support import chart_samples


def finished(wall_s: float, parallelism: float, pids: int = 1, observed: Any = (28,)) -> Job:
    return Job(
        {
            "id": "0" * 24,
            "sum": 28,
            "timing": {"wall_s": wall_s, "parallelism": parallelism},
            "pids_total": pids,
            "workers_total": 1,
            "shared_sum": {"strategy": "global", "observed": list(observed)},
        }
    )


def test_parallelism_is_never_shown_as_speedup() -> None:
    threads = row_of("thread-pool map", finished(4.4, 2.0), sequential_s=4.4)
    assert threads.parallelism == 2.0
    assert threads.speedup == 1.0
    assert not threads.faster
    assert threads.interpretation == "at once, no gain"


def test_the_sequential_run_has_no_speedup() -> None:
    assert row_of("sequential", finished(4.4, 1.0), sequential_s=None).speedup is None


def test_speedup_is_against_the_sequential_wall_time() -> None:
    processes = row_of("process-pool map", finished(2.0, 1.9, 2, (0,)), sequential_s=4.0)
    assert processes.speedup == 2.0
    assert processes.interpretation == "at once, faster"
    assert processes.observed == 0


def test_what_batches_saw_is_added_up() -> None:
    assert row_of("2 batches", finished(1.0, 1.9, 2, (20, 8)), 2.0).observed == 28
    assert row_of("2 batches", finished(1.0, 1.9, 2, (None, None)), 2.0).observed is None


def section(*rows: tuple[str, float, float | None, float]) -> Section:
    return Section("", tuple(Row(way, w, s, p, 1, 1, 28, 28) for way, w, s, p in rows))


def report(thread_speedup: float, process_speedup: float, *, gil: bool) -> DemoReport:
    sleep = section(("sequential", 10, None, 1), ("threading", 2, 5, 5))
    cpu = section(
        ("sequential", 4, None, 1),
        ("threading", 4 / thread_speedup, thread_speedup, 2),
        ("process-pool map", 4 / process_speedup, process_speedup, 2),
    )
    files = section(("1 batch", 1, None, 1), ("2 batches", 0.6, 1.7, 1.8))
    return DemoReport((sleep, cpu, files), 50.0, "3.14.0", gil, "a Redis")


def test_the_gil_is_blamed_only_where_there_is_one_and_threads_gained_nothing() -> None:
    blamed = "the GIL lets one thread compute"
    assert blamed in report(1.0, 1.9, gil=True).lessons()[1]
    assert blamed not in report(1.0, 1.9, gil=False).lessons()[1]
    assert blamed not in report(1.9, 1.9, gil=True).lessons()[1]


def test_processes_without_gain_are_told_as_such() -> None:
    assert "had only 1.0" in report(1.0, 1.0, gil=True).lessons()[1]


def measured(threads: tuple[float, ...], processes: tuple[float, ...]) -> tuple[Row, ...]:
    """Rows of as many rounds, with these speedups in each."""

    def rounds(way: str, speedups: tuple[float, ...]) -> Row:
        return median_row([Row(way, 4 / s, s, 2.0, 1, 1, 28, 28) for s in speedups], 4.0)

    sequential = median_row([Row("sequential", 4.0, None, 1.0, 1, 1, 28, 28)] * 3, None)
    return (sequential, rounds("threading", threads), rounds("process-pool map", processes))


QUIET = measured((0.97, 1.02, 1.0), (1.8, 2.0, 1.9))


def doubts(rows: tuple[Row, ...], **changes: Any) -> tuple[str, ...]:
    return doubts_about(rows, **{"others_cpus": 0.1, "spare_cpus": -0.1, "gil": True, **changes})


def test_a_variant_is_shown_by_its_median_round() -> None:
    sequential, threads, processes = QUIET
    assert (sequential.wall_s, sequential.speedup) == (4.0, None)
    assert (threads.speedup, processes.speedup) == pytest.approx((1.0, 1.9))
    assert processes.round_speedups == (1.8, 2.0, 1.9)


def test_a_quiet_machine_leaves_no_doubt() -> None:
    assert doubts(QUIET) == ()
    assert doubts(QUIET, others_cpus=3.0, spare_cpus=11.0) == ()


@pytest.mark.parametrize(
    ("rows", "changes", "reason"),
    [
        (QUIET, {"others_cpus": 0.9, "spare_cpus": -0.9}, "other programs used 0.9 CPUs"),
        (
            measured((1.0, 0.9, 1.2), (1.8, 2.0, 1.9)),
            {},
            "the speedup of threading was 0.9 to 1.2 from round to round",
        ),
        (
            measured((1.0, 1.0, 1.0), (0.8, 2.0, 0.9)),
            {},
            "the speedup of process-pool map was 0.8 to 2.0 from round to round",
        ),
        (
            measured((1.8, 1.9, 1.9), (0.8, 0.9, 0.8)),
            {},
            "threading computed faster than the GIL allows",
        ),
    ],
)
def test_a_disturbed_measurement_has_no_conclusion_but_the_reason_on_top(
    rows: tuple[Row, ...],
    changes: dict[str, float],
    reason: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = doubts(rows, **changes)
    assert found == (reason,)
    quiet = report(1.0, 1.9, gil=True)
    sleep, _, files = quiet.sections
    disturbed = replace(quiet, sections=(sleep, Section("cpu", rows, found), files))
    first, *others = disturbed.lessons()
    assert first.startswith("No conclusion about computing")
    assert reason in first
    assert not any("omputing" in lesson or "GIL" in lesson for lesson in others)
    monkeypatch.setenv("COLUMNS", "120")
    print_demo(disturbed)
    printed = capsys.readouterr().out
    assert printed.count(" no conclusion\n") == 2
    assert "at once, no gain" not in printed


def test_threads_that_gain_without_a_gil_leave_no_doubt() -> None:
    assert doubts(measured((1.8, 1.9, 1.9), (1.8, 1.9, 1.9)), gil=False) == ()


def test_the_report_is_a_file_with_a_timeline_of_each_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = report(1.0, 1.9, gil=True)
    runs = tuple(
        tuple(ArmRun(row.way, row.wall_s, chart_samples.takeover()) for row in each.rows)
        for each in made.sections
    )
    text = write_demo_file(replace(made, runs=runs)).read_text()
    assert text.count('class="chart lanes"') == 3
    assert made.lessons()[0] in text
    assert "runs" not in replace(made, runs=runs).as_json()
    assert "<script" not in text and " src=" not in text

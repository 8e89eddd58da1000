"""What the demo says follows from what it measured."""

from dataclasses import replace
from typing import Any

from batchpool.cli.demo_report import DemoReport, Row, Section, row_of
from batchpool.client.resources import Job


def finished(wall_s: float, parallelism: float, pids: int = 1, observed: Any = (28,)) -> Job:
    return Job(
        {
            "sum": 28,
            "timing": {"wall_s": wall_s, "parallelism": parallelism, "task_cpu_s": 4.0},
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


def section(*rows: tuple[str, float, float | None, float], cpu_s: float = 4.0) -> Section:
    return Section("", tuple(Row(way, w, s, p, cpu_s, 1, 1, 28, 28) for way, w, s, p in rows))


def report(thread_speedup: float, process_speedup: float, *, gil: bool) -> DemoReport:
    sleep = section(("sequential", 10, None, 1), ("threading", 2, 5, 5))
    cpu = section(
        ("sequential", 4, None, 1),
        ("threading", 4 / thread_speedup, thread_speedup, 2),
        ("process-pool map", 4 / process_speedup, process_speedup, 2),
    )
    files = section(("1 batch", 1, None, 1), ("2 batches", 0.6, 1.7, 1.8))
    return DemoReport((sleep, cpu, files), 50.0, "3.14.0", gil, "a Redis", 0.1)


def test_the_gil_is_blamed_only_where_there_is_one_and_threads_gained_nothing() -> None:
    blamed = "the GIL lets one thread compute"
    assert blamed in report(1.0, 1.9, gil=True).lessons()[1]
    assert blamed not in report(1.0, 1.9, gil=False).lessons()[1]
    assert blamed not in report(1.9, 1.9, gil=True).lessons()[1]


def test_processes_without_gain_are_told_as_such() -> None:
    assert "had only 1.0" in report(1.0, 1.0, gil=True).lessons()[1]


def test_a_machine_that_was_not_quiet_is_told() -> None:
    quiet = report(1.0, 1.9, gil=True)
    assert not any("not quiet" in lesson for lesson in quiet.lessons())
    sleep, cpu, files = quiet.sections
    slow = replace(cpu.rows[1], cpu_s=5.0)
    noisy = replace(quiet, sections=(sleep, Section("", (cpu.rows[0], slow, cpu.rows[2])), files))
    assert "4.0 to 5.0 s of CPU time" in noisy.lessons()[-1]
    crowded = replace(quiet, others_cpus=0.9)
    assert "other programs used 0.9 CPUs" in crowded.lessons()[-1]


def test_processes_that_cost_more_cpu_time_are_not_taken_for_noise() -> None:
    sleep, cpu, files = report(1.0, 1.9, gil=True).sections
    pool = replace(cpu.rows[2], cpu_s=6.0)
    shared_core = DemoReport(
        (sleep, Section("", (*cpu.rows[:2], pool)), files), 50.0, "3.14.0", True, "a Redis", 0.1
    )
    assert len(shared_core.lessons()) == 3

"""CPU time and memory of a process tree, whatever in it has ended."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from batchpool.runner.protocol import read_peak
from batchpool.system.cpus import cgroup_quota, usable_cpus
from batchpool.system.resource_usage import UsageMeter, tree_pss_bytes
from batchpool.worker.memory_sampler import EVERY_S, FIRST_AFTER_S, MemorySampler
from tests.support.stack_processes import settled_clocks

BURN_S = 0.3
BURN = f"import time\nwhile time.process_time() < {BURN_S}: pass\n"
WAIT = "import sys\nprint(flush=True)\nsys.stdin.read()\n"
BURN_BELOW = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])\n"
MORE_S = 0.6
"""What starting interpreters may cost beside."""


@contextmanager
def child(code: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has come to its end of `code`, and lives until the context is left."""
    command = [sys.executable, "-c", code + WAIT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process


def used_s(meter: UsageMeter) -> float:
    return meter.usage(1)["cpu_s"]


def test_the_cpu_time_of_this_process_counts() -> None:
    meter, end = UsageMeter(), time.process_time() + BURN_S
    while time.process_time() < end:
        pass
    assert BURN_S <= used_s(meter) < BURN_S + MORE_S


@pytest.mark.parametrize("code", [BURN, BURN_BELOW], ids=["a child", "a grandchild"])
def test_the_cpu_time_of_who_has_ended_counts_once(code: str) -> None:
    meter = UsageMeter()
    with child(code):
        # A grandchild has ended by now; what it used is known to its parent only.
        assert BURN_S - 0.03 <= used_s(meter) < BURN_S + MORE_S
    assert BURN_S <= used_s(meter) < BURN_S + MORE_S


def test_what_was_used_before_does_not_count() -> None:
    with child(BURN):
        meter = UsageMeter()
        assert used_s(meter) < BURN_S / 2
    assert used_s(meter) < BURN_S / 2


def test_switches_are_counted_unless_some_were_out_of_sight() -> None:
    meter = UsageMeter()
    with child(""):
        time.sleep(0.01)
    switches = meter.usage(1)["switches"]
    assert switches is not None and switches["voluntary"] >= 1


def test_a_process_below_that_loses_a_child_hides_its_switches() -> None:
    code = WAIT.replace(".read()", ".readline()") + BURN_BELOW
    command = [sys.executable, "-c", code + WAIT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        process.stdout.readline()
        meter = UsageMeter()
        assert meter.usage(1)["switches"] is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        assert meter.usage(1)["switches"] is None


def test_the_machine_is_described() -> None:
    usage = UsageMeter().usage(None)
    assert usage["cpus"] == usable_cpus() and usage["quota"] == cgroup_quota()
    assert usage["load_1m"] >= 0
    assert usage["throttled_s"] is None or usage["throttled_s"] >= 0
    assert usage["peak_pss_bytes"] and usage["peak_pss_bytes"] > 1 << 20


def test_the_memory_of_a_tree_is_that_of_all_in_it_that_did_something() -> None:
    size = 64 << 20
    with child(f"kept = b'x' * {size}\n") as process:
        whole = tree_pss_bytes(process.pid, {})
        assert whole and whole > size
    with child("import subprocess, sys\n" + starter(f"kept = b'x' * {size}\n")) as parent:
        idle = settled_clocks(parent.pid)
        assert len(idle) == 1
        with_idle, without = tree_pss_bytes(parent.pid, {}), tree_pss_bytes(parent.pid, idle)
        assert with_idle and with_idle > size
        assert without and without < size


def starter(code: str) -> str:
    """Starts a child that runs `code` and waits, and waits until it is there."""
    return (
        f"below = subprocess.Popen([sys.executable, '-c', {code + WAIT!r}], "
        "stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "below.stdout.readline()\n"
    )


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def sampled(folder: Path, cost_s: float, for_s: float, sizes: list[int]) -> list[float]:
    """When samples were taken, each of which costs `cost_s`, in a batch of `for_s`."""
    clock, taken = Clock(), []

    def measure(pid: int, idle: Mapping[int, float]) -> int | None:
        taken.append(round(clock.now - 1000, 6))
        clock.now += cost_s
        return sizes[(len(taken) - 1) % len(sizes)]

    sampler = MemorySampler(1 << 30, folder, measure, clock, clock)
    while clock.now < 1000 + for_s:
        clock.now += max(sampler.due_in_s(), 0.001)
        sampler.tick()
    return taken


def test_samples_are_taken_soon_and_then_every_now_and_then(tmp_path: Path) -> None:
    taken = sampled(tmp_path, 0.0001, 0.5, [3, 9, 5])
    assert taken[0] >= FIRST_AFTER_S
    gaps = [after - before for before, after in pairwise(taken)]
    assert gaps and all(EVERY_S <= gap < 1.1 * EVERY_S for gap in gaps)
    assert read_peak(tmp_path) == 9


def test_dear_samples_are_taken_less_often(tmp_path: Path) -> None:
    cost_s = 0.02
    taken = sampled(tmp_path, cost_s, 20, [1])
    assert len(taken) > 5
    assert (len(taken) - 1) * cost_s <= 0.011 * 20


def test_the_peak_of_an_earlier_batch_is_forgotten(tmp_path: Path) -> None:
    sampled(tmp_path, 0, 0.2, [7])
    assert read_peak(tmp_path) == 7
    sampled(tmp_path, 0, 0, [7])
    assert read_peak(tmp_path) is None

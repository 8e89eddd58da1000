"""How `auto` sees that CPUs are idle."""

import os
import subprocess
import sys
from time import monotonic, sleep

import pytest

from batchpool.backends.auto.cpu_demand import CpuDemand


def test_a_child_that_computes_demands_a_cpu_and_one_that_waits_does_not() -> None:
    codes = ("while True: pass", "import time; time.sleep(60)")
    children = [subprocess.Popen([sys.executable, "-c", code]) for code in codes]
    busy, idle = (child.pid for child in children)
    try:
        sleep(0.1)
        # A CPU that others use is demanded too, once it was waited for.
        assert max(_seen([busy])) > 0.5
        assert min(_seen([idle])) < 0.1
    finally:
        for child in children:
            child.kill()
            child.wait()


def test_a_look_that_comes_too_soon_says_nothing() -> None:
    demand = CpuDemand()
    assert demand.look([], 0.0) is None
    assert demand.look([], 0.0) is None
    sleep(0.025)
    assert demand.look([], 0.0) is not None
    demand.forget()
    sleep(0.025)
    assert demand.look([], 0.0) is None


def test_ready_threads_and_computing_count_as_of_this_process() -> None:
    demand = CpuDemand()
    demand.look([os.getpid() + 10**6], 1.0)
    sleep(0.03)
    used = demand.look([], 2.0)
    assert used is not None and used == pytest.approx(demand.here)
    assert used > 1


def _seen(children: list[int]) -> list[float]:
    demand = CpuDemand()
    seen: list[float] = []
    ends_s = monotonic() + 5
    while len(seen) < 8 and monotonic() < ends_s:
        if (used := demand.look(children, 0.0)) is not None:
            seen.append(used)
        sleep(0.02)
    return seen

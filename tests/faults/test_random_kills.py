"""P2, P3: SIGKILL of a random process of a running job: an exact sum, and few runs again."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from batchpool.system.process_tree import descendants, is_alive
from tests.support.reduced_jobs import REDUCE, reduced_of
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until

TASKS = str(Path(__file__).parent / "tasks")
ITEMS = 2000
CONCURRENCY = 4
SECONDS = 0.004
UNFLUSHED_S = 0.2
SMALL = ("process-pool", "spawn")
WAYS = [
    SMALL,
    ("thread-pool", None),
    ("process-pool", "fork"),
    ("process-pool", "forkserver"),
    ("multiprocessing", "fork"),
    ("sequential", None),
    ("auto", None),
]
MANY = 5


@pytest.mark.parametrize(
    ("backend", "start_method", "kills"),
    [(*SMALL, 1), *full(*((*way, MANY) for way in WAYS))],
)
def test_a_killed_process_costs_few_reruns_and_no_item(
    backend: str,
    start_method: str | None,
    kills: int,
    seed: int,
    crew: StackProcesses,
    tmp_path: Path,
) -> None:
    crew.start("batchpool.reconciler")
    crew.start_workers(2, BATCHPOOL_TASKS_DIR=TASKS)
    chance = random.Random(seed)
    for kill in range(kills):
        kill_one(crew, backend, start_method, tmp_path / f"runs-{kill}", chance)


def kill_any(alive: Callable[[], list[int]], chance: random.Random) -> int:
    """Kill one of these, another where it has ended by itself in the meantime."""
    while True:
        victim = chance.choice(alive())
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
            return victim


def kill_one(
    crew: StackProcesses, backend: str, start_method: str | None, log: Path, chance: random.Random
) -> None:
    how = {"concurrency": CONCURRENCY} if backend != "sequential" else {}
    how |= {"start_method": start_method} if start_method else {}
    items = ITEMS if backend != "multiprocessing" else ITEMS // 10
    job_id = crew.stage.post(
        task="logged",
        params={"path": str(log), "seconds": SECONDS},
        count=items,
        backend=backend,
        reduce=REDUCE,
        **how,
    )["id"]
    running = crew.wait_running(job_id, recorded=chance.randrange(1, items // 2))
    (epoch,) = running["batches"][0]["epochs"]
    worker = epoch["ppid"]
    victim = kill_any(lambda: [worker, *descendants(worker)], chance)
    killed_at = time.monotonic()
    wait_until(lambda: not is_alive(victim), 5, "the victim is dead")
    job = crew.finish(job_id, 60)
    assert job["state"] == "succeeded" and job["sum"] == sum(range(items)), job
    assert job["reduced"] == reduced_of({at: at for at in range(items)})
    assert [record["index"] for record in crew.records(job_id)] == list(range(items))
    check_reruns(log, items, killed_at)
    if victim == worker:
        (dead,) = [member for member in crew.members if member.pid == worker]
        assert dead.wait(5) == -signal.SIGKILL
        crew.members.remove(dead)
        crew.start_workers(1, BATCHPOOL_TASKS_DIR=TASKS)


def check_reruns(log: Path, items: int, killed_at: float) -> None:
    """By the tasks' own log: P3 allows what was running, and what ended just before the kill."""
    runs = [line.split() for line in log.read_text().splitlines()]
    counts = Counter(int(item) for item, _, _ in runs)
    assert set(counts) == set(range(items))
    again = sum(counts.values()) - items
    recent = sum(killed_at - UNFLUSHED_S <= float(at) <= killed_at for _, _, at in runs)
    assert again <= CONCURRENCY + recent, f"{again} re-runs, {recent} were recent"

"""P14, P15: after any number of jobs of all backends, some hostile, all sizes are as before."""

import os
import random
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from batchpool.backends.facts import BACKENDS
from batchpool.ledger import keys
from tests.faults.tasks.rude import CHANGES
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses, settled_clocks
from tests.support.waiting import wait_until

TASKS = str(Path(__file__).parent / "tasks")
WORKERS = 2
OPEN = 16
"""So many jobs wait or run at a time."""
MOST_GROWTH = {"bytes": 24 << 20, "sockets": 2}
"""A client of Redis has a second connection from its first script on; a reconciler has two clients,
and what it needs a script for need not happen during the first jobs."""
NAMES = [name for name, facts in BACKENDS.items() if facts.is_supported]
HOSTILE: list[dict[str, Any]] = [
    # Without "root": that folder belongs to both workers, and to jobs that run meanwhile. Without
    # "getpid": a runner without it is replaced again and again, for half a minute.
    *({"task": "rude", "params": {"how": how}} for how in CHANGES if how not in ("root", "getpid")),
    *({"task": "leak", "params": {"leaves": leaves}} for leaves in ("thread", "child")),
    {"task": "crash", "params": {"how": "segfault", "item": 1}},
    {"task": "fail"},
]


@dataclass
class Mix:
    """Posts jobs, keeps some open, and checks and deletes those that ended."""

    crew: StackProcesses
    chance: random.Random
    is_hostile: dict[str, bool] = field(default_factory=dict)
    waiting: deque[str] = field(default_factory=deque)
    ended: Counter[str] = field(default_factory=Counter)

    def run(self, jobs: int) -> None:
        for number in range(jobs):
            self._post(is_hostile=number % 10 == 9)
            if len(self.waiting) >= OPEN:
                self._finish()
        while self.waiting:
            self._finish()

    def _post(self, is_hostile: bool) -> None:
        backend = self.chance.choice(NAMES)
        body: dict[str, Any] = {"task": "echo", "count": 5, "concurrency": 2, "backend": backend}
        if is_hostile:
            how = self.chance.choice(HOSTILE)
            # Coroutines of tasks without an async form are refused.
            usual = backend if backend != "asyncio" else "thread-pool"
            body |= how | {"count": 2, "backend": usual, "timeout_s": 30}
        job_id = self.crew.stage.post(**body)["id"]
        self.is_hostile[job_id] = is_hostile
        self.waiting.append(job_id)

    def _finish(self) -> None:
        job_id = self.waiting.popleft()
        job = self.crew.finish(job_id, 60)
        if not self.is_hostile.pop(job_id):
            assert (job["state"], job["sum"]) == ("succeeded", 10), job
        self.ended[job["state"]] += 1
        assert self.crew.stage.http.delete(f"/v1/jobs/{job_id}").status_code == 204


def sizes(crew: StackProcesses, folder: str) -> dict[str, int]:
    """Sizes of the long-lived processes, of Redis and of the temp folder, once all is at rest."""
    found: dict[str, int] = {}
    for number, member in enumerate(crew.members):
        settled_clocks(member.pid)
        process = psutil.Process(member.pid)
        sockets = len(process.net_connections("all"))
        found[f"sockets {number}"] = sockets
        found[f"other descriptors {number}"] = process.num_fds() - sockets
        found[f"threads {number}"] = process.num_threads()
        found[f"bytes {number}"] = process.memory_info().rss
    # One that expires, as the samples of the load do, or is there once, comes and goes by itself.
    names = [name for name in crew.redis.scan_iter() if crew.redis.ttl(name) < 0]
    found |= {f"key {name.decode()}": 1 for name in names if name != keys.CLOCK.encode()}
    found["files"] = len(os.listdir(folder))
    return found


@pytest.fixture
def folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="bp-") as name:
        yield name


@pytest.mark.parametrize("jobs", [60, *full(10_000)])
@pytest.mark.timeout(7200)
def test_sizes_are_flat_over_mixed_jobs_and_good_ones_are_right(
    crew: StackProcesses, folder: str, seed: int, jobs: int
) -> None:
    crew.start_workers(WORKERS, BATCHPOOL_TASKS_DIR=TASKS, TMPDIR=folder)
    crew.start("batchpool.reconciler", TMPDIR=folder)
    mix = Mix(crew, random.Random(seed))
    mix.run(60)
    before = sizes(crew, folder)
    mix.run(jobs)

    def grown() -> dict[str, int]:
        more = {name: size - before.get(name, 0) for name, size in sizes(crew, folder).items()}
        return {
            name: growth
            for name, growth in more.items()
            if growth > MOST_GROWTH.get(name.partition(" ")[0], 0)
        }

    with suppress(AssertionError):
        wait_until(lambda: not grown(), 30, "sizes as before")
    sys.stdout.write(f"before: {before}\nafter: {sizes(crew, folder)}\n{mix.ended}\n")
    assert grown() == {}
    crew.__exit__()
    assert os.listdir(folder) == []

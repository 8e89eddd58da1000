"""A stack under random kills and freezes: `python -m tests.faults.chaos SECONDS [SEED]`.

Jobs of all backends come in over HTTP while processes of a real local stack are killed and
frozen as a Poisson process. Then a drain phase, and the count: what was lost, doubled, blamed or
left over.
"""

import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from batchpool.client.client import Client
from batchpool.client.errors import BatchpoolError
from batchpool.ledger import keys
from batchpool.ledger.connection import UNREACHABLE, connect
from batchpool.stack.local_stack import LocalStack, StackOptions
from batchpool.system.process_tree import children_of, descendants
from tests.support.reduced_jobs import REDUCE, reduced_of

TASKS = str(Path(__file__).parent / "tasks")
MEAN_GAP_S = 1.7
CALM_S = 25.0
MOST_JOBS = 6
WORKERS = 3
PROMISED_S = {"worker": 15.0, "worker frozen": 15.0, "runner": 3.0, "child": 2.0}
BACKENDS: list[dict[str, Any]] = [
    {"backend": "sequential"},
    {"backend": "threading", "concurrency": 4},
    {"backend": "thread-pool", "concurrency": 4},
    {"backend": "multiprocessing", "concurrency": 2, "start_method": "fork"},
    {"backend": "process-pool", "concurrency": 2, "start_method": "fork"},
    {"backend": "process-pool", "concurrency": 2, "start_method": "forkserver"},
    {"backend": "process-pool", "concurrency": 2, "start_method": "spawn"},
    {"backend": "asyncio", "concurrency": 4},
]
KINDS = {
    "worker": 3,
    "runner": 4,
    "child": 4,
    "api": 1,
    "reconciler": 2,
    "redis": 1,
    "worker frozen": 1,
    "redis frozen": 1,
}


@dataclass(frozen=True)
class Hit:
    """One kill or freeze that was proved to have happened."""

    kind: str
    pid: int
    at_s: float
    in_flight: int


@dataclass
class Findings:
    """What the soak came to."""

    jobs: int = 0
    items: int = 0
    hits: list[Hit] = field(default_factory=list)
    lost: int = 0
    doubled: int = 0
    misreduced: int = 0
    blamed: int = 0
    unended: int = 0
    reruns: int = 0
    leftovers: int = 0
    drain_s: float = 0.0
    recovery_s: dict[str, float] = field(default_factory=dict)
    """The worst by kind; `slow_s` where Redis or the reconciler had been hit shortly before."""
    slow_s: dict[str, float] = field(default_factory=dict)
    growth: dict[str, str] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        late = [k for k, found in self.recovery_s.items() if found > PROMISED_S.get(k, 15.0)]
        return not (
            self.lost
            or self.doubled
            or self.misreduced
            or self.blamed
            or self.unended
            or self.leftovers
            or late
        )


class Soak:
    """Runs jobs against a stack while it breaks it."""

    def __init__(self, stack: LocalStack, client: Client, folder: Path, seed: int) -> None:
        self._stack = stack
        self._folder = folder
        self._chance = random.Random(seed)
        self._client = client
        self._open: dict[str, int] = {}
        self._thaws: list[threading.Timer] = []
        self.found = Findings()
        self._jobs: dict[str, int] = {}

    def run(self, seconds: float) -> Findings:
        before = self._sizes()
        end = time.monotonic() + seconds
        next_hit = time.monotonic() + 3.0
        while (now := time.monotonic()) < end:
            self._submit_more()
            if now >= next_hit:
                self._hit(self._chance.choices(list(KINDS), list(KINDS.values()))[0])
                next_hit = now + self._chance.expovariate(1 / MEAN_GAP_S)
            time.sleep(0.05)
        for timer in self._thaws:
            timer.join()
        self._drain()
        for role, after in self._sizes().items():
            self.found.growth[role] = f"{before.get(role, (0, 0))} -> {after} (MB, fds)"
        return self.found

    def _submit_more(self) -> None:
        if len(self._open) >= MOST_JOBS:
            self._forget_ended()
            return
        how = dict(self._chance.choice(BACKENDS))
        items = self._chance.choice([20, 60, 200])
        task: dict[str, Any] = {"task": "sleep", "params": {"seconds": 0.05}}
        if how["backend"] != "asyncio":
            log = self._folder / f"{self.found.jobs}.log"
            task = {"task": "logged", "params": {"path": str(log), "seconds": 0.05}}
        batches = self._chance.choice([1, 2, 5])
        key = f"chaos-{self.found.jobs}"
        job = _insist(
            lambda: self._client.submit(
                **task, count=items, batches=batches, reduce=REDUCE, idempotency_key=key, **how
            )
        )
        self._open[job.id] = self._jobs[job.id] = items
        self.found.jobs += 1
        self.found.items += items

    def _forget_ended(self) -> None:
        for job_id in list(self._open):
            with suppress(BatchpoolError):
                if self._client.job(job_id).done:
                    del self._open[job_id]

    def _hit(self, kind: str) -> None:
        victim = self._victim(kind)
        if victim is None:
            return
        running = self._running_batches()
        at_s = time.time()
        if kind.endswith("frozen"):
            tree = [victim, *descendants(victim)]
            pause_s = self._chance.uniform(0.5, 12.0)
            _signal_all(tree, signal.SIGSTOP)
            # A timer: this thread may be waiting for an answer that only the thaw can bring.
            timer = threading.Timer(pause_s, _signal_all, (tree, signal.SIGCONT))
            timer.start()
            self._thaws.append(timer)
        else:
            _signal(victim, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while _state(victim) not in "TZX":
            assert time.monotonic() < deadline, f"{kind} {victim} goes on"
            time.sleep(0.01)
        self.found.hits.append(Hit(kind, victim, at_s, running))

    def _victim(self, kind: str) -> int | None:
        members = self._stack.pids()
        role = kind.removesuffix(" frozen")
        if role in ("api", "reconciler", "redis"):
            return next((pid for name, pid in members.items() if name == role), None)
        workers = [pid for name, pid in members.items() if name.startswith("worker-")]
        runners = [pid for worker in workers for pid in children_of(worker)]
        found = {
            "worker": workers,
            "runner": runners,
            "child": [pid for runner in runners for pid in descendants(runner)],
        }[role]
        return self._chance.choice(found) if found else None

    def _running_batches(self) -> int:
        with connect(self._stack.redis_url, socket_timeout_s=1.0) as redis:
            try:
                return int(redis.zcard(keys.LEASES))
            except UNREACHABLE:
                return 0

    def _drain(self) -> None:
        started = time.monotonic()
        for job_id, items in self._jobs.items():
            try:
                job = self._client.wait(job_id, 120)
            except BatchpoolError as error:
                print(f"job {job_id}: {error}", file=sys.stderr)
                self.found.unended += 1
                continue
            self._judge(job_id, items, job.data)
        self.found.drain_s = time.monotonic() - started

    def _judge(self, job_id: str, items: int, job: dict[str, Any]) -> None:
        records = _insist(lambda: list(self._client.records(job_id)))
        counts = Counter(record["index"] for record in records)
        succeeded = {record["index"] for record in records if record["state"] == "succeeded"}
        self.found.doubled += sum(counts.values()) - len(counts)
        values = {record["index"]: record["value"] for record in records}
        self.found.misreduced += job["reduced"] != reduced_of(values)
        self.found.blamed += job["progress"]["crashed"]
        self.found.lost += items - len(succeeded)
        if job["state"] != "succeeded" or job["sum"] != sum(range(items)):
            self.found.lost += 1
            print(f"job {job_id} {job['spec']['backend']}: {job['state']} {job['error']}")
            print(f"  {job['progress']}", *job["batches"], sep="\n  ")
        for batch in job["batches"]:
            self._time_recovery(batch["epochs"])

    def _time_recovery(self, epochs: list[dict[str, Any]]) -> None:
        """From a hit on the process that ran an epoch until its batch could be run again.

        A batch whose worker is lost can be run again once it is queued; when it will be depends on
        the load. One that lost its runner goes on when its next epoch begins.
        """
        for epoch, following in pairwise(epochs):
            lost = epoch["end_reason"] == "lost"
            again_s = _seconds(epoch["ended_at"] if lost else following["started_at"])
            for hit in self.found.hits:
                if hit.pid not in (epoch["pid"], epoch["ppid"]):
                    continue
                if _seconds(epoch["started_at"]) <= hit.at_s <= again_s:
                    worst = self.found.recovery_s if self._calm(hit, again_s) else self.found.slow_s
                    worst[hit.kind] = max(worst.get(hit.kind, 0.0), again_s - hit.at_s)

    def _calm(self, hit: Hit, again_s: float) -> bool:
        """Whether what recovery needs, Redis and the reconciler, was left alone around a hit."""
        return not any(
            other.kind in ("redis", "redis frozen", "reconciler")
            and hit.at_s - CALM_S <= other.at_s <= again_s
            for other in self.found.hits
        )

    def _sizes(self) -> dict[str, tuple[int, int]]:
        sizes = {}
        for name, pid in self._stack.pids().items():
            status = Path(f"/proc/{pid}/statm").read_text().split()
            fds = len(os.listdir(f"/proc/{pid}/fd"))
            sizes[name] = (int(status[1]) * os.sysconf("SC_PAGE_SIZE") >> 20, fds)
        return sizes


def _seconds(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()


def _insist(ask: Callable[[], Any]) -> Any:
    """What a client does that is told 503, or loses its connection: it asks again."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return ask()
        except BatchpoolError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        _signal(pid, number)


def _state(pid: int) -> str:
    """One letter of proc(5); X for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def soak(seconds: float, seed: int) -> Findings:
    """Run the soak on a stack of its own; its findings."""
    with tempfile.TemporaryDirectory() as name:
        environ = {k: v for k, v in os.environ.items() if k != "REDIS_URL"}
        environ |= {"BATCHPOOL_TASKS_DIR": TASKS, "BATCHPOOL_LOG_LEVEL": "error"}
        options = StackOptions(workers=WORKERS, temporary=True, environ=environ)
        stack = LocalStack(options)
        with stack, Client(stack.url, retry_for_s=60) as client:
            found = Soak(stack, client, Path(name), seed).run(seconds)
        found.leftovers = stack.leftovers
        found.reruns = _reruns(Path(name))
        return found


def _reruns(folder: Path) -> int:
    return sum(
        len(runs) - len(set(runs))
        for log in folder.glob("*.log")
        for runs in [[line.split()[0] for line in log.read_text().splitlines()]]
    )


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 300.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6)
    print(f"chaos for {seconds:g} s, seed {seed}", flush=True)
    found = soak(seconds, seed)
    kinds = Counter(hit.kind for hit in found.hits)
    print(f"jobs {found.jobs}, items {found.items}, run again {found.reruns}")
    print(f"hits {len(found.hits)}: {json.dumps(kinds)}")
    print(f"  with work in flight: {sum(hit.in_flight > 0 for hit in found.hits)}")
    print(f"jobs with a wrong reduced value {found.misreduced}")
    print(f"lost {found.lost}, doubled {found.doubled}, healthy items blamed {found.blamed}")
    print(f"jobs that did not end {found.unended}, processes left over {found.leftovers}")
    worst = {kind: round(took, 2) for kind, took in sorted(found.recovery_s.items())}
    print(f"from the last hit to the end of all jobs {found.drain_s:.1f} s")
    print(f"worst recovery by kind (s): {json.dumps(worst)}")
    slow = {kind: round(took, 2) for kind, took in sorted(found.slow_s.items())}
    print(f"  the same with Redis or the reconciler hit too: {json.dumps(slow)}")
    for role, growth in found.growth.items():
        print(f"  {role}: {growth}")
    print("clean" if found.is_clean else "NOT CLEAN")
    return 0 if found.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())

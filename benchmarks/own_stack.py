"""Batchpool as a user runs it: a stack of two workers, used over HTTP, every write synced."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchpool.client import Client, Job
from batchpool.stack.local_stack import LocalStack, StackOptions

WORKERS = 2
TASKS_DIR = Path(__file__).parent / "tasks"


def make_stack() -> LocalStack:
    """A stack with its own Redis in a temporary folder."""
    environ = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    environ |= {"BATCHPOOL_TASKS_DIR": str(TASKS_DIR), "BATCHPOOL_LOG_LEVEL": "warning"}
    options = StackOptions(workers=WORKERS, temporary=True, prefer_own_redis=True, environ=environ)
    return LocalStack(options)


@dataclass(frozen=True)
class Way:
    """One way to submit a job."""

    task: str
    spec: Mapping[str, Any]


def ways(workload: str) -> dict[str, Way]:
    """The variants that are measured, by name; the goals apply to the first."""
    return _WAYS[workload]


_WAYS: dict[str, dict[str, Way]] = {
    "W1": {
        "ours (sequential)": Way("echo", {"backend": "sequential", "batches": 2}),
        "ours (thread-pool)": Way(
            "echo", {"backend": "thread-pool", "concurrency": 1, "batches": 2}
        ),
        "ours (process-pool)": Way("echo", {"backend": "process-pool", "concurrency": 2}),
    },
    "W2": {
        "ours (thread-pool)": Way("sleep", {"backend": "thread-pool", "concurrency": 16}),
        "ours (asyncio)": Way("sleep", {"backend": "asyncio", "concurrency": 16}),
    },
    "W3": {
        "ours (process-pool)": Way("cpu", {"backend": "process-pool", "concurrency": 2}),
        "ours (2 workers)": Way("cpu", {"backend": "sequential", "batches": 2}),
        "ours (cold pool)": Way(
            "cpu", {"backend": "process-pool", "concurrency": 2, "pool": "fresh"}
        ),
        "ours (1 worker, 1 process)": Way("cpu", {"backend": "sequential"}),
    },
    "W4": {"ours": Way("echo", {"backend": "sequential"})},
    "W5": {
        "ours (2 workers x 4 threads)": Way(
            "turns", {"backend": "thread-pool", "concurrency": 4, "batches": 2}
        ),
        "ours (process-pool)": Way("turns", {"backend": "process-pool", "concurrency": 8}),
    },
}


class Ours:
    """One variant as a contestant; all share the stack, which is never stopped."""

    peer = "ours"
    queue = False

    def __init__(self, client: Client, name: str, way: Way) -> None:
        self.name = name
        self._client, self._way = client, way

    def thaw(self) -> None:
        pass

    def freeze(self) -> None:
        pass

    def close(self) -> None:
        pass

    def ask(self, order: Mapping[str, Any]) -> list[float]:
        if order["do"] == "batch":
            return [self._run(order["count"], _params(self._way.task, order["work"]))]
        return [self._run(1, {}) for _ in range(order["count"])]

    def _run(self, count: int, params: dict[str, Any]) -> float:
        started = time.perf_counter()
        job = self.order(count, params)
        taken = time.perf_counter() - started
        if not job.succeeded:
            raise RuntimeError(f"job {job.id} is {job.state}")
        return taken

    def order(self, count: int, params: dict[str, Any]) -> Job:
        """Submit, and wait for the end in the same request."""
        way = self._way
        spec = {**way.spec, "params": params} if params else dict(way.spec)
        spec["concurrency"] = min(count, spec.get("concurrency", 1))
        spec["batches"] = min(count, spec.get("batches", 1))
        return self._client.run(way.task, count=count, **spec)


def _params(task: str, work: list[tuple[str, float]]) -> dict[str, Any]:
    amounts = dict(work)
    names = {"seconds": amounts.get("sleep"), "iterations": amounts.get("cpu")}
    taken = {"echo": (), "sleep": ("seconds",), "cpu": ("iterations",)}
    return {name: names[name] for name in taken.get(task, ("seconds", "iterations"))}

"""Batchpool as a user runs it: a stack of two workers, used over HTTP, every write synced."""

import http.client
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from batchpool.client import Client
from batchpool.stack.local_stack import LocalStack, StackOptions

WORKERS = 2
WAIT_S = 30
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
        spec = {**self._way.spec, "params": params} if params else dict(self._way.spec)
        spec["concurrency"] = min(count, spec.get("concurrency", 1))
        spec["batches"] = min(count, spec.get("batches", 1))
        started = time.perf_counter()
        state = self.order(self._way.task, count, spec)
        taken = time.perf_counter() - started
        if state != "succeeded":
            raise RuntimeError(f"a job is {state}")
        return taken

    def order(self, task: str, count: int, spec: Mapping[str, Any]) -> str:
        """Submit, and wait for the end in the same request; returns the state."""
        return self._client.run(task, count=count, **spec).state


class OursBare(Ours):
    """The same by the standard library's client, on one connection that is kept."""

    def __init__(self, client: Client, name: str, way: Way) -> None:
        super().__init__(client, name, way)
        self._connection = http.client.HTTPConnection(urlsplit(client.url).netloc)

    def close(self) -> None:
        self._connection.close()

    def order(self, task: str, count: int, spec: Mapping[str, Any]) -> str:
        body = json.dumps({"task": task, "count": count, **spec})
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", f"/v1/jobs?wait={WAIT_S}", body, headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise RuntimeError(f"{response.status}: {answer.decode()}")
        state: str = json.loads(answer)["state"]
        return state


def ours(workload: str, client: Client) -> list[Ours]:
    """The contestants of a workload."""
    made = [Ours(client, name, way) for name, way in ways(workload).items()]
    if workload == "W4":
        made.append(OursBare(client, "ours, http.client", ways(workload)["ours"]))
    return made


def _params(task: str, work: list[tuple[str, float]]) -> dict[str, Any]:
    amounts = dict(work)
    names = {"seconds": amounts.get("sleep"), "iterations": amounts.get("cpu")}
    taken = {"echo": (), "sleep": ("seconds",), "cpu": ("iterations",)}
    return {name: names[name] for name in taken.get(task, ("seconds", "iterations"))}

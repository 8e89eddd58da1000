"""Base classes of the adapters: a peer, and a queue with worker processes."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from benchmarks.adapters import work

READY_S = 60.0
DEADLINE_S = 45.0
_POLL_S = 0.0002
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Setup:
    """Settings of the workers, which the harness passes in the environment."""

    socket: str
    database: int
    variant: str
    kind: str
    processes: int
    slots: int
    results: bool
    route: bool
    is_synced: bool

    @classmethod
    def from_env(cls) -> "Setup":
        env = os.environ
        return cls(
            socket=env.get("BENCH_REDIS", "").removeprefix("unix://"),
            database=int(env.get("BENCH_DB", "0")),
            variant=env.get("BENCH_VARIANT", ""),
            kind=env.get("BENCH_KIND", "cpu"),
            processes=int(env.get("BENCH_PROCESSES", "2")),
            slots=int(env.get("BENCH_SLOTS", "1")),
            results=env.get("BENCH_RESULTS") == "1",
            route=env.get("BENCH_ROUTE") == "1",
            is_synced=env.get("BENCH_SYNCED") == "1",
        )

    @property
    def in_flight(self) -> int:
        return self.processes * self.slots

    @property
    def redis_url(self) -> str:
        """The Redis socket and the peer's own database, as redis-py writes it."""
        return f"unix://{self.socket}?db={self.database}"


class Peer:
    """A peer that runs in the adapter's own process; queues are `QueuePeer`."""

    def start(self) -> None:
        """Start the workers, and return when they run tasks."""

    def batch(self, order: dict[str, Any]) -> float:
        """Run the tasks of a request; returns seconds from first submission to last end."""
        raise NotImplementedError

    def call(self) -> None:
        """Run one no-op and wait for its result."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop the workers."""


class QueuePeer(Peer):
    """A queue with worker processes."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._processes: list[subprocess.Popen[bytes]] = []

    def commands(self) -> list[list[str]]:
        """The command lines of the workers."""
        raise NotImplementedError

    def send(self, messages: list[tuple[str, float, int]]) -> None:
        """Enqueue messages whose results are not read, in the fastest way of the queue."""
        raise NotImplementedError

    def submit(self) -> Any:
        """Enqueue a no-op whose result will be read."""
        raise NotImplementedError

    def result(self, handle: Any) -> None:
        """Wait for the result of a submitted no-op."""
        raise NotImplementedError

    def start(self) -> None:
        for command in self.commands():
            self.spawn(command)
        self.batch({"work": [["noop", 0]], "count": 2 * self.setup.in_flight, "chunk": 1})

    def spawn(self, command: list[str]) -> None:
        environ = {**os.environ, "BENCH_ROLE": "worker"}
        log = open(os.environ["BENCH_LOG"], "ab")
        with log:
            self._processes.append(
                subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environ,
                    preexec_fn=die_with_parent,
                )
            )

    def batch(self, order: dict[str, Any]) -> float:
        messages = work.plan(order)
        path = os.environ[work.DONE]
        goal = os.stat(path).st_size + order["count"]
        started = time.perf_counter()
        self.send(messages)
        while os.stat(path).st_size < goal:
            for process in self._processes:
                if process.poll() is not None:
                    raise RuntimeError(f"a worker ended with code {process.returncode}")
            if time.perf_counter() - started > DEADLINE_S:
                raise RuntimeError(f"{goal - os.stat(path).st_size} tasks are not done")
            time.sleep(_POLL_S)
        return time.perf_counter() - started

    def call(self) -> None:
        self.result(self.submit())

    def stop(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 3
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            process.kill()
            process.wait()


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, even while it is stopped."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

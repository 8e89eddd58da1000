"""concurrent.futures without a queue: the lower bound for everything that transports tasks."""

import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

from benchmarks.adapters import work
from benchmarks.adapters.base import Peer, Setup


def _run(message: tuple[str, float, int]) -> None:
    kind, amount, times = message
    for _ in range(times):
        if kind == "sleep":
            time.sleep(amount)
        elif kind == "cpu":
            work.spin(int(amount))


class Stdlib(Peer):
    """A warm pool of threads or of processes, by `variant`."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._pool: Executor
        if setup.variant == "threads":
            self._pool = ThreadPoolExecutor(setup.in_flight)
        else:
            self._pool = ProcessPoolExecutor(setup.in_flight)

    def start(self) -> None:
        list(self._pool.map(_run, [("sleep", 0.05, 1)] * self._setup.in_flight))

    def batch(self, order: dict[str, Any]) -> float:
        # The best chunk for tasks that cost nothing is one per process, and one for all others.
        free = order["work"][0][0] == "noop"
        messages = work.plan({**order, "chunk": 1})
        size = max(1, len(messages) // self._setup.in_flight) if free else 1
        started = time.perf_counter()
        for _ in self._pool.map(_run, messages, chunksize=size):
            pass
        return time.perf_counter() - started

    def call(self) -> None:
        self._pool.submit(_run, ("noop", 0, 1)).result()

    def stop(self) -> None:
        self._pool.shutdown(cancel_futures=True)


make = Stdlib

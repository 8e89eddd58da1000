"""Dask distributed: a local cluster of processes; `map` with and without chunks by hand."""

import time
from typing import Any

from distributed import Client, LocalCluster, wait

from benchmarks.adapters import work
from benchmarks.adapters.base import Peer, Setup


def run(message: tuple[str, float, int]) -> None:
    kind, amount, times = message
    for _ in range(times):
        if kind == "sleep":
            time.sleep(amount)
        elif kind == "cpu":
            work.spin(int(amount))


class DaskPeer(Peer):
    """No dashboard; results stay on the workers, unread."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup

    def start(self) -> None:
        self._cluster = LocalCluster(
            n_workers=self._setup.processes,
            threads_per_worker=self._setup.slots,
            processes=True,
            dashboard_address=None,
            silence_logs=50,
        )
        self._client = Client(self._cluster)
        self._client.wait_for_workers(self._setup.processes)
        self.batch({"work": [["noop", 0]], "count": 100, "chunk": 1})

    def batch(self, order: dict[str, Any]) -> float:
        messages = work.plan(order)
        started = time.perf_counter()
        futures = self._client.map(run, messages, pure=False)
        wait(futures)
        taken = time.perf_counter() - started
        self._client.cancel(futures)
        return taken

    def call(self) -> None:
        self._client.submit(run, ("noop", 0, 1), pure=False).result()

    def stop(self) -> None:
        self._client.close()
        self._cluster.close()


make = DaskPeer

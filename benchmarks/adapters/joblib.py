"""joblib on loky: a warm reusable pool with automatic batches; threads for waiting."""

import time
from typing import Any

from joblib import Parallel, delayed

from benchmarks.adapters import work
from benchmarks.adapters.base import Peer, Setup


def run(kind: str, amount: float, times: int) -> None:
    for _ in range(times):
        if kind == "sleep":
            time.sleep(amount)
        elif kind == "cpu":
            work.spin(int(amount))


class JoblibPeer(Peer):
    """One `Parallel` that is kept open, as its documentation advises for many calls."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        # With one job only it would run tasks in this very process.
        shape = "threading" if setup.kind == "sleep" else "loky"
        self._parallel = Parallel(n_jobs=max(2, setup.in_flight), backend=shape)

    def start(self) -> None:
        self._parallel.__enter__()
        self._parallel([delayed(run)("sleep", 0.05, 1)] * self._setup.in_flight * 2)

    def batch(self, order: dict[str, Any]) -> float:
        messages = work.plan(order)
        started = time.perf_counter()
        self._parallel(delayed(run)(*message) for message in messages)
        return time.perf_counter() - started

    def call(self) -> None:
        self._parallel([delayed(run)("noop", 0, 1)])

    def stop(self) -> None:
        self._parallel.__exit__(None, None, None)


make = JoblibPeer

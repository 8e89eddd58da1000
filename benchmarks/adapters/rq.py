"""RQ: one job per task, with a work horse per job (`fork`) or in the worker (`simple`)."""

import sys
from typing import Any

from redis import Redis
from rq import Queue

from benchmarks.adapters.base import QueuePeer, Setup

_MANY = 1000
_NOOP = "operator.index"


class Rq(QueuePeer):
    """JSON instead of pickle, no result kept where none is read, `enqueue_many` for many."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._redis = Redis.from_url(setup.redis_url)
        self._queue = Queue("bench", connection=self._redis, serializer="json")

    def commands(self) -> list[list[str]]:
        shape = "rq.worker.SimpleWorker" if self.setup.variant == "simple" else "rq.worker.Worker"
        command = [sys.executable, "-m", "rq.cli", "worker-pool", "bench", "-q", "-S", "json"]
        command += ["-u", self.setup.redis_url, "-w", shape, "-n", str(self.setup.in_flight)]
        return [command]

    def send(self, messages: list[tuple[str, float, int]]) -> None:
        for start in range(0, len(messages), _MANY):
            self._queue.enqueue_many(
                [
                    Queue.prepare_data(
                        "benchmarks.adapters.work.run", args=list(message), result_ttl=0
                    )
                    for message in messages[start : start + _MANY]
                ]
            )

    def submit(self) -> Any:
        # A function of the standard library: a work horse pays for every import of its own.
        return self._queue.enqueue(_NOOP, 1, result_ttl=60)

    def result(self, handle: Any) -> None:
        assert handle.latest_result(timeout=30) is not None


make = Rq

"""Dramatiq on Redis: processes × threads, deep prefetch for no-ops, only the middleware needed."""

import os
import sys
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AgeLimit, Retries, ShutdownNotifications, TimeLimit
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.adapters import work
from benchmarks.adapters.base import QueuePeer, Setup

setup = Setup.from_env()
broker = RedisBroker(
    url=setup.redis_url,
    middleware=[AgeLimit(), TimeLimit(), ShutdownNotifications(), Retries(max_retries=0)],
)
if setup.results:
    broker.add_middleware(Results(backend=RedisBackend(url=setup.redis_url), result_ttl=60_000))
dramatiq.set_broker(broker)


@dramatiq.actor(actor_name="run")
def run(kind: str, amount: float, times: int) -> None:
    work.run(kind, amount, times)


@dramatiq.actor(actor_name="noop", store_results=True) if setup.results else dramatiq.actor
def noop() -> int:
    return 1


class DramatiqPeer(QueuePeer):
    """`dramatiq -p processes -t threads`."""

    def commands(self) -> list[list[str]]:
        if self.setup.kind == "noop" and not self.setup.results:
            # Its default, two per thread, is right for tasks that take a while.
            os.environ["dramatiq_queue_prefetch"] = "256"
        command = [sys.executable, "-m", "dramatiq", __name__, "--skip-logging"]
        return [[*command, "-p", str(self.setup.processes), "-t", str(self.setup.slots)]]

    def send(self, messages: list[tuple[str, float, int]]) -> None:
        for message in messages:
            run.send(*message)

    def submit(self) -> Any:
        return noop.send()

    def result(self, handle: Any) -> None:
        handle.get_result(block=True, timeout=30_000)


make = DramatiqPeer

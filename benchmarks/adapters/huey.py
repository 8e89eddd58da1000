"""Huey on Redis: blocking pops, results by notification, threads or processes by workload."""

import sys
from typing import Any

from huey import RedisHuey

from benchmarks.adapters import work
from benchmarks.adapters.base import QueuePeer, Setup

setup = Setup.from_env()
huey = RedisHuey(
    "bench",
    url=setup.redis_url,
    results=setup.results,
    blocking=True,
    notify_result=setup.results,
)


@huey.task()
def run(kind: str, amount: float, times: int) -> None:
    work.run(kind, amount, times)


@huey.task()
def noop() -> int:
    return 1


class HueyPeer(QueuePeer):
    """One consumer; its scheduler and periodic tasks are off."""

    def commands(self) -> list[list[str]]:
        shape = "thread" if self.setup.kind == "sleep" else "process"
        command = [sys.executable, "-m", "huey.bin.huey_consumer", f"{__name__}.huey"]
        return [[*command, "-n", "-q", "-k", shape, "-w", str(self.setup.in_flight), "-d", "0.01"]]

    def send(self, messages: list[tuple[str, float, int]]) -> None:
        for message in messages:
            run(*message)

    def submit(self) -> Any:
        return noop()

    def result(self, handle: Any) -> None:
        handle.get(blocking=True, timeout=30)


make = HueyPeer

"""Taskiq on a Redis list: async producer, worker processes, threads for tasks that are sync."""

import asyncio
import sys
from collections.abc import Coroutine
from threading import Thread
from typing import Any

from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

from benchmarks.adapters import work
from benchmarks.adapters.base import QueuePeer, Setup

setup = Setup.from_env()
# Without a time-out: while this process is stopped one would pass, and what Redis had just handed
# to the connection would be lost with it.
broker = ListQueueBroker(url=setup.redis_url, socket_timeout=None)
if setup.results:
    broker = broker.with_result_backend(
        RedisAsyncResultBackend(redis_url=setup.redis_url, result_ex_time=60)
    )
_AT_ONCE = 64


@broker.task(task_name="run")
def run(kind: str, amount: float, times: int) -> None:
    work.run(kind, amount, times)


@broker.task(task_name="quick")
async def quick(kind: str, amount: float, times: int) -> None:
    # A no-op has no need of a thread.
    work.run(kind, amount, times)


@broker.task(task_name="noop")
async def noop() -> int:
    return 1


class TaskiqPeer(QueuePeer):
    """`taskiq worker`, acks on receipt; the producer's loop runs in a thread of its own."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._loop = asyncio.new_event_loop()
        Thread(target=self._loop.run_forever, daemon=True).start()
        self._await(broker.startup())

    def _await(self, work_: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work_, self._loop).result(120)

    def commands(self) -> list[list[str]]:
        slots = str(self.setup.slots)
        at_once = "256" if self.setup.kind == "noop" else slots
        command = [sys.executable, "-m", "taskiq", "worker", f"{__name__}:broker"]
        command += ["--workers", str(self.setup.processes), "--max-async-tasks", at_once]
        command += ["--max-threadpool-threads", slots, "--ack-type", "when_received"]
        return [[*command, "--no-parse", "--log-level", "ERROR"]]

    def send(self, messages: list[tuple[str, float, int]]) -> None:
        self._await(self._send(messages))

    async def _send(self, messages: list[tuple[str, float, int]]) -> None:
        for start in range(0, len(messages), _AT_ONCE):
            part = messages[start : start + _AT_ONCE]
            tasks = ((quick if message[0] == "noop" else run).kiq(*message) for message in part)
            await asyncio.gather(*tasks)

    def submit(self) -> Any:
        return self._await(noop.kiq())

    def result(self, handle: Any) -> None:
        # It has no push for results: the interval is as short as it pays.
        self._await(handle.wait_result(check_interval=0.0005, timeout=30))


make = TaskiqPeer

"""Chancy on PostgreSQL: a row per job, workers woken by NOTIFY, a fetch after each job."""

import asyncio
import os
import sys
from typing import Any

from chancy import Chancy, Queue, Worker, job

from benchmarks.adapters import work
from benchmarks.adapters.base import QueuePeer, Setup
from benchmarks.adapters.postgres import Postgres

_DSN = "BENCH_POSTGRES"
_QUEUE = "bench"
_EXECUTORS = {"cpu": Chancy.Executor.Process, "sleep": Chancy.Executor.Threaded}
_ASYNC_SLOTS = 256
_SOON_S = 0.001


@job(queue=_QUEUE)
def run(*, kind: str, amount: float, times: int) -> None:
    work.run(kind, amount, times)


@job(queue=_QUEUE)
async def quick(*, kind: str, amount: float, times: int) -> None:
    # A no-op has no need of a thread.
    work.run(kind, amount, times)


@job(queue=_QUEUE)
async def noop() -> None:
    pass


def serve() -> None:
    """Run the worker until a signal ends it."""
    asyncio.run(_serve())


async def _serve() -> None:
    async with Chancy(os.environ[_DSN]) as app, Worker(app) as worker:
        # Ended jobs are written once a second by default.
        worker.send_outgoing_interval = _SOON_S
        await worker.wait_for_shutdown()


class ChancyPeer(QueuePeer):
    """One worker, beside a server that syncs every commit or none."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._postgres = Postgres(is_synced=setup.is_synced)
        os.environ[_DSN] = self._postgres.dsn
        self._app = Chancy(self._postgres.dsn)
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._prepare())

    async def _prepare(self) -> None:
        await self._app.migrate()
        is_async = self.setup.kind not in _EXECUTORS
        queue = Queue(
            _QUEUE,
            concurrency=_ASYNC_SLOTS if is_async else self.setup.in_flight,
            executor=_EXECUTORS.get(self.setup.kind, Chancy.Executor.Async),
            eager_polling=True,
        )
        await self._app.declare(queue, upsert=True)

    def commands(self) -> list[list[str]]:
        return [[sys.executable, "-c", f"from {__name__} import serve; serve()"]]

    def send(self, messages: list[tuple[str, float, int]]) -> None:
        task = run if self.setup.kind in _EXECUTORS else quick
        jobs = [task.job.with_kwargs(kind=k, amount=a, times=t) for k, a, t in messages]
        self._loop.run_until_complete(self._send(jobs))

    async def _send(self, jobs: list[Any]) -> None:
        async for _ in self._app.push_many(jobs):
            pass

    def submit(self) -> Any:
        return self._loop.run_until_complete(self._app.push(noop))

    def result(self, handle: Any) -> None:
        # It has no push for results: the interval is as short as it pays.
        ended = self._app.wait_for_job(handle, interval=_SOON_S / 2, timeout=30)
        self._loop.run_until_complete(ended)

    def stop(self) -> None:
        super().stop()
        self._loop.run_until_complete(self._app.pool.close())
        self._postgres.close()


make = ChancyPeer

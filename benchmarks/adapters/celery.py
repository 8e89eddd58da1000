"""Celery on Redis: prefork or threads, acks early, no events, no gossip, results only if read."""

import sys
from typing import Any

from celery import Celery

from benchmarks.adapters import work
from benchmarks.adapters.base import QueuePeer, Setup

setup = Setup.from_env()
url = f"redis+socket://{setup.socket}?virtual_host={setup.database}"
app = Celery("bench", broker=url, backend=url if setup.results else None)
app.conf.update(
    task_ignore_result=not setup.results,
    task_acks_late=False,
    task_store_errors_even_if_ignored=False,
    # Many no-ops are fetched ahead; of long tasks no child may hold one that another could run.
    worker_prefetch_multiplier=256 if setup.kind == "noop" else 1,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    result_expires=60,
)


@app.task(name="run")
def run(kind: str, amount: float, times: int) -> None:
    work.run(kind, amount, times)


@app.task(name="noop")
def noop() -> int:
    return 1


class CeleryPeer(QueuePeer):
    """One worker with all children under prefork; under threads a worker per process."""

    def commands(self) -> list[list[str]]:
        base = [sys.executable, "-m", "celery", "-A", __name__, "worker", "-l", "ERROR"]
        base += ["--without-gossip", "--without-mingle", "--without-heartbeat", "-O", "fair"]
        if self.setup.variant == "prefork":
            return [[*base, "-P", "prefork", "-c", str(self.setup.in_flight), "-n", "w@bench"]]
        threads = ["-P", "threads", "-c", str(self.setup.slots)]
        return [[*base, *threads, "-n", f"w{n}@bench"] for n in range(self.setup.processes)]

    def send(self, messages: list[tuple[str, float, int]]) -> None:
        with app.producer_or_acquire() as producer:
            for message in messages:
                run.apply_async(message, producer=producer, ignore_result=True)

    def submit(self) -> Any:
        return noop.delay()

    def result(self, handle: Any) -> None:
        handle.get(timeout=30)


make = CeleryPeer

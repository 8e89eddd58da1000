"""mayu on a Redis stream: its own threads or processes as the interpreter allows, Rust inside."""

import sys
import time
from typing import Any

from mayu import App

from benchmarks.adapters import work
from benchmarks.adapters.base import READY_S, QueuePeer, Setup

setup = Setup.from_env()
url = f"unix://{setup.socket}?db={setup.database}"
app = App(broker=url, result_ttl=60 if setup.results else None)


@app.task
def run(kind: str, amount: float, times: int) -> None:
    work.run(kind, amount, times)


@app.task
def noop() -> int:
    return 1


class MayuPeer(QueuePeer):
    """One worker, which runs one task per process where there is a GIL."""

    def commands(self) -> list[list[str]]:
        command = [sys.executable, "-m", "mayu", "worker", f"{__name__}:app"]
        return [[*command, "--processes", str(self.setup.in_flight), "--log-level", "ERROR"]]

    def spawn(self, command: list[str]) -> None:
        super().spawn(command)
        # What is sent before a process has joined may not be seen.
        until_s = time.monotonic() + READY_S
        while len(app.client.workers()) < self.setup.in_flight:
            if time.monotonic() > until_s:
                raise RuntimeError("its processes did not start")
            time.sleep(0.05)

    def send(self, messages: list[tuple[str, float, int]]) -> None:
        for message in messages:
            run.delay(*message)

    def submit(self) -> Any:
        return noop.send()

    def result(self, handle: Any) -> None:
        handle.result(timeout=30)


make = MayuPeer

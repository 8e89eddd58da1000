"""Timeline of one no-op in Redis, from MONITOR: each command with its time in microseconds."""

import socket
import statistics
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import unquote

from batchpool.client import Client


@dataclass
class Stages:
    """Milliseconds of each stage over many jobs."""

    ms: dict[str, list[float]] = field(default_factory=dict)
    commands: Counter[str] = field(default_factory=Counter)
    jobs: int = 0

    def add(self, name: str, seconds: float) -> None:
        self.ms.setdefault(name, []).append(seconds * 1e3)

    def medians(self) -> dict[str, float]:
        return {name: statistics.median(values) for name, values in self.ms.items()}


class _Monitor:
    """Collects the commands that the server executes, without those of scripts.

    It uses a plain socket: the parser of redis-py would take CPU time from the measurement.
    """

    def __init__(self, url: str) -> None:
        self.lines: list[bytes] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(unquote(url.removeprefix("unix://")))
        self._socket.sendall(b"MONITOR\r\n")
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        with self._socket.makefile("rb") as lines:
            for line in lines:
                self.lines.append(line)

    def commands(self) -> list[tuple[float, str]]:
        """Time and text of each command, its name first, without quotes."""
        found = []
        for line in list(self.lines):
            at, _, rest = line.decode(errors="replace").removeprefix("+").partition(" ")
            where, _, text = rest.partition("] ")
            if text and not where.endswith("lua"):
                found.append((float(at), text.replace('"', "").strip()))
        return found

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()


def trace(url: str, client: Client, count: int) -> Stages:
    """Run `count` single no-ops one after the other, and split each into stages."""
    stages = Stages()
    monitor = _Monitor(url)
    try:
        for _ in range(count):
            monitor.lines.clear()
            begun = time.time()
            job = client.run("echo", count=1, backend="sequential")
            ended = time.time()
            # The last commands of the job may reach MONITOR shortly after its answer.
            time.sleep(0.005)
            _cut(stages, monitor.commands(), job.id, (begun, ended))
    finally:
        monitor.close()
    return stages


def _cut(
    stages: Stages,
    commands: list[tuple[float, str]],
    job_id: str,
    client: tuple[float, float],
) -> None:
    begun, ended = client
    mine = [(at, text) for at, text in commands if begun <= at <= ended]
    scripts = [at for at, text in mine if text.startswith("EVALSHA") and job_id in text]
    if len(scripts) != 4:
        return
    created, claimed, closed, shown = scripts
    stages.jobs += 1
    stages.commands.update(text.split(" ", 1)[0] for _, text in mine)
    stages.add("1 client, HTTP, admission (until the job is written)", created - begun)
    stages.add("2 synced, worker woken, RQ's share in it (until the claim)", claimed - created)
    stages.add("3 claim synced, runner runs and packs (until the flush)", closed - claimed)
    stages.add("4 flush synced, waiter woken (until it reads the job)", shown - closed)
    stages.add("5 answer: Flask, HTTP, client", ended - shown)
    stages.add("whole, under MONITOR", ended - begun)

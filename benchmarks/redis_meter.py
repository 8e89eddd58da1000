"""Counts of one Redis: commands, bytes, syncs, CPU time and memory of a piece of work."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from redis import Redis

from batchpool.ledger.connection import Commands

_OWN = ("cmdstat_info", "cmdstat_config")


class Usage(NamedTuple):
    """The use of one Redis.

    Args:
        commands: those inside scripts too.
        received, sent: bytes over its connections.
        written: bytes of its append-only file.
        cpu_s: CPU time of all its threads.
        memory: bytes, without the buffers of connections.
    """

    commands: float
    received: float
    sent: float
    written: float
    cpu_s: float
    memory: float

    def __sub__(self, other: "Usage") -> "Usage":
        return Usage(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))

    def per(self, count: float) -> "Usage":
        """The share of each of `count`."""
        return Usage(*(total / count for total in self))


class Costs(NamedTuple):
    """The use of a piece of work, and the syncs of the same done again; None where unknown."""

    use: Usage
    syncs: float | None

    def per(self, count: float) -> "Costs":
        """The share of each of `count`."""
        return Costs(self.use.per(count), None if self.syncs is None else self.syncs / count)

    def cells(self) -> list[str]:
        """Commands, syncs, bytes received, sent, written, and CPU in microseconds."""
        use, syncs = self.use, self.syncs
        counts = [figure(use.commands), "?" if syncs is None else figure(syncs)]
        return [*counts, *map(figure, (use.received, use.sent, use.written, use.cpu_s * 1e6))]


COST_HEAD = ("commands", "syncs", "received B", "sent B", "written B", "CPU us")


class Meter:
    """Measures pieces of work of a Redis that nobody else uses meanwhile."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Commands = redis
        # A rewrite would make the file smaller.
        self._redis.config_set("auto-aof-rewrite-percentage", 0)
        self._pid = int(self._redis.info("server")["process_id"])
        # What was flushed is freed in the background.
        while self._redis.info("memory")["lazyfree_pending_objects"]:
            time.sleep(0.01)

    def costs(self, work: Callable[[], object]) -> Costs:
        """The costs of work that can be done twice."""
        return Costs(self.measure(work), self.count_syncs(work))

    def measure(self, work: Callable[[], object]) -> Usage:
        """Do the work; returns its use, without that of the measurement (`sent` to some bytes)."""
        first = self._read()
        before = self._read()
        work()
        return self._read() - before - (before - first)

    def count_syncs(self, work: Callable[[], object]) -> int | None:
        """Do the work; returns how often its file was synced, None where strace cannot say."""
        with tempfile.TemporaryDirectory(prefix="bp-") as folder:
            log = Path(folder) / "syncs"
            with _traced(self._pid, log) as is_traced:
                work()
            return log.read_text().count("sync(") if is_traced else None

    def _read(self) -> Usage:
        info = self._redis.info("everything")
        commands = [
            each["calls"]
            for name, each in info.items()
            if name.startswith("cmdstat_") and not name.startswith(_OWN)
        ]
        return Usage(
            sum(commands),
            info["total_net_input_bytes"],
            info["total_net_output_bytes"],
            info["aof_current_size"],
            info["used_cpu_user"] + info["used_cpu_sys"],
            info["used_memory"] - info["mem_clients_normal"],
        )


def figure(value: float) -> str:
    """A number as tables show it: three digits at least."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


@contextmanager
def _traced(pid: int, log: Path) -> Iterator[bool]:
    """Have strace list the syncs of a process in `log` during the block; yields whether it does."""
    strace = shutil.which("strace")
    if strace is None:
        yield False
        return
    command = [strace, "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", str(log), "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as tracer:
        while tracer.poll() is None and not _is_traced(pid):
            time.sleep(0.01)
        try:
            yield tracer.poll() is None
        finally:
            tracer.terminate()


def _is_traced(pid: int) -> bool:
    return "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text()

"""A stack of real processes on a test's own Redis, ended with all that they started."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis

from batchpool.ledger.presence import Presence
from batchpool.system.process_tree import descendants, is_alive
from batchpool.system.resource_usage import cpu_clocks
from batchpool.worker.runner_process import remove_stale_folders
from tests.support.waiting import wait_until

TERMINAL = {"succeeded", "failed", "cancelled"}


def settled_clocks(pid: int) -> dict[int, float]:
    """The CPU clocks of who is below `pid`, once nobody there has anything left to do."""

    def settled() -> tuple[dict[int, float]] | None:
        clocks = cpu_clocks(pid)
        time.sleep(0.1)
        # On a busy machine, who waits for a CPU has something left to do.
        is_idle = clocks == cpu_clocks(pid) and not any(map(_is_runnable, (pid, *descendants(pid))))
        return (clocks,) if is_idle else None

    (clocks,) = wait_until(settled, 20, "nothing moves any more")
    return dict(clocks)


def _is_runnable(pid: int) -> bool:
    tasks = [file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/stat")]
    return any(text.rpartition(")")[2].split()[0] == "R" for text in tasks)


@dataclass
class StackProcesses:
    """Processes of a stack on the test's Redis, each ended with all that it started.

    Jobs are posted to an API in this very process, over the same ledger.
    """

    url: str
    redis: Redis
    stage: Any
    environ: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None
    members: list[subprocess.Popen[bytes]] = field(default_factory=list)
    console: Path | None = None
    """The file that takes what members print; by default the console of the tests."""

    def __enter__(self) -> "StackProcesses":
        return self

    def __exit__(self, *exc: object) -> None:
        below = [pid for member in self.members for pid in descendants(member.pid)]
        for member in self.members:
            # One that a test stopped and never woke could not hear the SIGTERM.
            member.send_signal(signal.SIGCONT)
            member.send_signal(signal.SIGTERM)
        for member in self.members:
            member.wait(30)
        wait_until(lambda: not any(map(is_alive, below)), 2, "nothing left running")
        _sweep()

    def start(self, module: str, **environ: str) -> subprocess.Popen[bytes]:
        full = {**os.environ, "REDIS_URL": self.url, "BATCHPOOL_LOG_LEVEL": "warning"}
        with open(self.console, "ab") if self.console else contextlib.nullcontext() as console:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", module],
                env=full | self.environ | environ,
                cwd=self.folder,
                stdout=console,
                stderr=console,
            )
        self.members.append(process)
        return process

    def start_workers(self, count: int, **environ: str) -> list[subprocess.Popen[bytes]]:
        started = [self.start("batchpool.worker", **environ) for _ in range(count)]
        pids = {process.pid for process in started}
        presence = Presence(self.redis)

        def there() -> bool:
            assert not [p for p in started if p.poll() is not None], "a worker ended at its start"
            return pids <= {worker.pid for worker in presence.workers()}

        wait_until(there, 30, "workers there")
        wait_until(presence.classes, 10, "a class known")
        return started

    def runner_pid(self, worker: subprocess.Popen[bytes]) -> int:
        (entry,) = [w for w in Presence(self.redis).workers() if w.pid == worker.pid]
        assert entry.runner_pid is not None
        return entry.runner_pid

    def stop_while_it_waits(self, worker: subprocess.Popen[bytes]) -> None:
        """Stop the only worker, by SIGSTOP, while it waits for a message."""

        def is_stopped_so() -> bool:
            worker.send_signal(signal.SIGSTOP)
            # By then Redis has what was sent before.
            time.sleep(0.05)
            if self.redis.info("clients")["blocked_clients"]:
                return True
            worker.send_signal(signal.SIGCONT)
            return False

        wait_until(is_stopped_so, 10, "it is stopped while it waits")

    def finish(self, job_id: str, within_s: float = 30) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            job: dict[str, Any] = self.stage.get(f"/v1/jobs/{job_id}")
            return job if job["state"] in TERMINAL else None

        found: dict[str, Any] = wait_until(ended, within_s, "the job ended")
        return found

    def run(self, within_s: float = 30, **body: Any) -> dict[str, Any]:
        return self.finish(self.stage.post(**body)["id"], within_s)

    def wait_running(self, job_id: str, recorded: int = 0) -> dict[str, Any]:
        def running() -> dict[str, Any] | None:
            job: dict[str, Any] = self.stage.get(f"/v1/jobs/{job_id}")
            progress = job["progress"]
            return job if progress["running"] and progress["succeeded"] >= recorded else None

        found: dict[str, Any] = wait_until(running, 20, "the job runs")
        return found

    def records(self, job_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        path: str | None = f"/v1/jobs/{job_id}/records?limit=1000"
        while path:
            page = self.stage.get(path)
            found += page["records"]
            following = page["next"]
            path = f"/v1/jobs/{job_id}/records?limit=1000&cursor={following}" if following else None
        return found


def _sweep() -> None:
    """Do as a later worker would: a SIGKILL leaves no time to remove files."""
    for folder in Path(tempfile.gettempdir()).glob("batchpool-run-*"):
        with contextlib.suppress(FileNotFoundError):
            os.utime(folder / "lock", (0, 0))
    remove_stale_folders()

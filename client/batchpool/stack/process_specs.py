"""Command line and environment of each process of a local stack."""

import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from batchpool.client.errors import StackFailed
from batchpool.settings import BadSetting, WorkerSettings, declared_settings
from batchpool.stack.managed_process import ProcessSpec
from batchpool.stack.process_group import STACK_ID_VARIABLE

GRACE = "BATCHPOOL_GRACE_S"

# Ctrl-C should not take long: what a worker gives back at its end is run again anyway.
_GRACE_S = 5.0
# For giving the batch back, after the tasks' own time.
_MORE_GRACE_S = 3.0


def read_grace_s(environ: Mapping[str, str]) -> float:
    """Read how long a stop waits for running tasks, in seconds.

    Raises:
        StackFailed: the environment names no such time.
    """
    try:
        declared = declared_settings(WorkerSettings)["grace_s"]
        return float(replace(declared, default=_GRACE_S).read(environ))
    except BadSetting as error:
        raise StackFailed(str(error)) from None


@dataclass(frozen=True)
class StackProcesses:
    """Makes the `ProcessSpec` of each process of one stack.

    `run_dir` is for their temporary files, `environ` is the caller's.
    """

    stack_id: str
    redis_url: str
    run_dir: Path
    grace_s: float
    environ: Mapping[str, str]

    def redis(self, command: Sequence[str]) -> ProcessSpec:
        """Redis of the stack."""
        # The advice on overcommit is for servers with gigabytes of data.
        mute = "Memory overcommit must be enabled"
        # A service manager sends SIGTERM to all processes at once, and workers need Redis till the
        # end, to give back what they run.
        return ProcessSpec(
            "redis",
            command,
            self._environ(),
            ignore_lines_with=mute,
            stop_signal=signal.SIGINT,
        )

    def api(self, listener_fd: int) -> ProcessSpec:
        """The API, on a socket that listens already."""
        environ = {**self._environ(), "BATCHPOOL_API_FD": str(listener_fd)}
        return ProcessSpec("api", _module("batchpool.api"), environ, pass_fds=(listener_fd,))

    def reconciler(self) -> ProcessSpec:
        """The reconciler."""
        return ProcessSpec("reconciler", _module("batchpool.reconciler"), self._environ())

    def workers(self, count: int) -> list[ProcessSpec]:
        """`count` workers, named `worker-1` and so on."""
        grace_s = self.grace_s + _MORE_GRACE_S
        return [
            ProcessSpec(
                f"worker-{n}", _module("batchpool.worker"), self._environ(), grace_s=grace_s
            )
            for n in range(1, count + 1)
        ]

    def _environ(self) -> dict[str, str]:
        environ = {
            **self.environ,
            STACK_ID_VARIABLE: self.stack_id,
            "REDIS_URL": self.redis_url,
            "TMPDIR": str(self.run_dir),
            GRACE: f"{self.grace_s:g}",
            "PYTHONUNBUFFERED": "1",
        }
        return environ


def _module(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name)

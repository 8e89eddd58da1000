"""Who is in a local stack, and what each of them is told."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from client.crew import MARK
from client.errors import StackFailed
from client.members import MemberSpec
from workers.settings import BadSetting, read_seconds

GRACE = "BATCHPOOL_GRACE_S"

# Ctrl-C should not take long: what a worker gives back at its end is run again anyway.
_GRACE_S = 5.0
# For giving the batch back, after the tasks' own time.
_MORE_GRACE_S = 3.0


def read_grace_s(environ: Mapping[str, str]) -> float:
    """How long the stack's end waits for tasks that run.

    Raises:
        StackFailed: the environment names no such time.
    """
    try:
        return read_seconds(environ, GRACE, _GRACE_S, most=3600.0)
    except BadSetting as error:
        raise StackFailed(str(error)) from None


@dataclass(frozen=True)
class Lineup:
    """What all members of one stack share.

    `run_dir` is for their temporary files, `environ` is the caller's.
    """

    stack_id: str
    redis_url: str
    run_dir: Path
    grace_s: float
    environ: Mapping[str, str]

    def redis(self, command: Sequence[str]) -> MemberSpec:
        """A Redis of the stack's own."""
        # The advice on overcommit is for servers with gigabytes of data.
        mute = "Memory overcommit must be enabled"
        return MemberSpec("redis", command, self._environ(), mute=mute)

    def api(self, listener_fd: int) -> MemberSpec:
        """The API, on a socket that listens already."""
        environ = {**self._environ(), "BATCHPOOL_API_FD": str(listener_fd)}
        return MemberSpec("api", _module("service"), environ, pass_fds=(listener_fd,))

    def reconciler(self) -> MemberSpec:
        """The one that keeps jobs going."""
        return MemberSpec("reconciler", _module("service.reconciler"), self._environ())

    def workers(self, count: int) -> list[MemberSpec]:
        """`count` workers; their names begin with `worker-`."""
        grace_s = self.grace_s + _MORE_GRACE_S
        return [
            MemberSpec(f"worker-{n}", _module("workers"), self._environ(), grace_s=grace_s)
            for n in range(1, count + 1)
        ]

    def _environ(self) -> dict[str, str]:
        environ = {
            **self.environ,
            MARK: self.stack_id,
            "REDIS_URL": self.redis_url,
            "TMPDIR": str(self.run_dir),
            GRACE: f"{self.grace_s:g}",
            "PYTHONUNBUFFERED": "1",
        }
        root = Path(__file__).resolve().parent.parent
        if root.name not in ("site-packages", "dist-packages"):
            # Run from a source tree: the members find the packages wherever they are started.
            paths = [str(root), environ.get("PYTHONPATH", "")]
            environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        return environ


def _module(name: str) -> tuple[str, ...]:
    # -P: a folder named `workers` where the user happens to be must not be run instead of ours.
    return (sys.executable, "-P", "-m", name)

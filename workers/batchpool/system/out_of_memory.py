"""Processes that the kernel ended for want of memory, as the control groups count them."""

import signal
from pathlib import Path

from batchpool.system.cpus import cgroup_folders

OUT_OF_MEMORY = "out of memory"
_FILES = ("memory.events", "memory.oom_control")
"""Of cgroup v2 and v1."""


class OomKills:
    """Notices whether the kernel's OOM killer has ended a process here since it was made."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._files = [
            folder / name for folder in cgroup_folders("memory", root) for name in _FILES
        ]
        self._before = self._count()

    def note(self, code: int | None) -> str:
        """What to add to a message about a process that ended with `code`: a reason, or nothing."""
        if code != -signal.SIGKILL or (now := self._count()) <= self._before:
            return ""
        self._before = now
        return f", {OUT_OF_MEMORY}"

    def _count(self) -> int:
        # The group of this process comes first; those above it count other programs too.
        for file in self._files:
            try:
                lines = file.read_text().splitlines()
            except OSError:
                continue
            for line in lines:
                name, _, number = line.partition(" ")
                if name == "oom_kill" and number.isdigit():
                    return int(number)
        return 0

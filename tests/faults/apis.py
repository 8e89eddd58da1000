"""API processes on ports of their own, as members of a crew."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from urllib.parse import urlsplit

from batchpool.system.process_tree import descendants, is_alive
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until


def start_api(crew: StackProcesses, **environ: str) -> str:
    """Start `python -m batchpool.api` beside the crew's other members; its URL once it listens."""
    ours = {"REDIS_URL": crew.url, "BATCHPOOL_API_PORT": "0", "BATCHPOOL_LOG_LEVEL": "error"}
    process = subprocess.Popen(
        [sys.executable, "-m", "batchpool.api"],
        env=os.environ | ours | crew.environ | environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    crew.members.append(process)
    assert process.stdout
    with process.stdout as lines:
        word, url = lines.readline().split()
    assert word == "listening"
    return str(url)


class RestartedApi:
    """An API that is SIGKILLed with all its processes, and started again on its port."""

    def __init__(self, crew: StackProcesses) -> None:
        self._crew = crew
        self.url = start_api(crew)
        self._process = crew.members[-1]

    def kill(self) -> None:
        # It listens before it serves.
        serving = wait_until(lambda: descendants(self._process.pid), 10, "the API serves")
        for pid in (self._process.pid, *serving):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert self._process.wait(5) == -signal.SIGKILL
        wait_until(lambda: not any(map(is_alive, serving)), 5, "the API is dead")
        self._crew.members.remove(self._process)
        start_api(self._crew, BATCHPOOL_API_PORT=str(urlsplit(self.url).port))
        self._process = self._crew.members[-1]

"""API processes on ports of their own, as members of a crew."""

import os
import subprocess
import sys

from tests.support.stack_processes import StackProcesses


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

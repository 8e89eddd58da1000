"""Tasks whose subprocesses leave orphans."""

import subprocess
from dataclasses import dataclass

from batchpool.tasks import task


@dataclass(frozen=True)
class SpawnParams:
    count: int = 150


@task("orphan")
def orphan(item: int) -> int:
    """Leave a process that ends soon; check one that a task waits for itself."""
    subprocess.run(["sh", "-c", "sleep 0.02 & exit 0"], check=True)
    return subprocess.run(["sh", "-c", "exit 7"], check=False).returncode


@task("spawner", params=SpawnParams)
def spawner(item: int, params: SpawnParams) -> int:
    """Leave many processes that do not end."""
    for _ in range(params.count):
        subprocess.Popen(["sleep", "71717"])
    return item


@task("keeper")
def keeper(item: int) -> int:
    """Keep a helper process in a global, as programs with a costly start do."""
    global HELPER
    if HELPER is None:
        HELPER = subprocess.Popen(["cat"], stdin=-1, stdout=-1, text=True)
    assert HELPER.stdin is not None and HELPER.stdout is not None
    HELPER.stdin.write(f"{item}\n")
    HELPER.stdin.flush()
    return int(HELPER.stdout.readline())


HELPER: "subprocess.Popen[str] | None" = None

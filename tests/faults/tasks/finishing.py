"""Tasks that finish beside one that never does, or that ends their process."""

import ctypes
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchpool.tasks import task


@dataclass(frozen=True)
class FinishingParams:
    """A folder in which each run leaves a line, and the item that is unlike the others."""

    folder: str
    item: int


def _note(item: Any, params: FinishingParams) -> None:
    with open(Path(params.folder) / "runs", "a") as runs:
        runs.write(f"{item}\n")


@task("hold-the-gil", params=FinishingParams)
def hold_the_gil(item: Any, params: FinishingParams) -> Any:
    """Return at once below `item`; from there on hold the GIL for a minute."""
    if item >= params.item:
        while len((Path(params.folder) / "runs").read_text().split()) < params.item:
            time.sleep(0.001)
        # Noted is not returned; before they are flushed, which takes 0.1 s.
        time.sleep(0.02)
        ctypes.PyDLL(None).sleep(60)
    _note(item, params)
    return f"ä{item}" if item % 2 else item


@task("kill-once", params=FinishingParams)
def kill_once(item: Any, params: FinishingParams) -> Any:
    """Note the run and return; one item kills its process, the first time."""
    mark = Path(params.folder) / "killed"
    if item == params.item and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    _note(item, params)
    return item


@task("fail-beside-a-kill", params=FinishingParams)
def fail_beside_a_kill(item: Any, params: FinishingParams) -> Any:
    """Fail as item 0, once item 1 runs; as item 1 kill the process when the file `go` is there."""
    folder = Path(params.folder)
    _note(item, params)
    while item == 0 and "1" not in (folder / "runs").read_text():
        time.sleep(0.001)
    if item == 1:
        while not (folder / "go").exists():
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGKILL)
    raise ValueError(f"item {item} fails")


@task("wait-for-a-kill", params=FinishingParams)
def wait_for_a_kill(item: Any, params: FinishingParams) -> Any:
    """Return below `item`, from item 1 on only when the file `go` is there; else sleep."""
    while item and not (Path(params.folder) / "go").exists():
        time.sleep(0.01)
    if item >= params.item:
        time.sleep(60)
    _note(item, params)
    return item

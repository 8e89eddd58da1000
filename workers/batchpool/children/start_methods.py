"""Preconditions for starting children, per start method."""

import contextlib
import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Iterator
from dataclasses import asdict
from multiprocessing import forkserver
from pathlib import Path

from batchpool.errors import UnsupportedOption
from batchpool.system.cpython_internals import (
    fork_server_pid,
    multiprocessing_config,
    resource_tracker_pid,
    stop_fork_server,
    stop_resource_tracker,
)
from batchpool.system.process_tree import is_stopped
from batchpool.tasks.sources import TaskSources

PRELOAD = "batchpool.children.preload"
PRELOAD_VARIABLE = "BATCHPOOL_PRELOAD"


def check_fork_is_safe() -> None:
    """Refuse to fork beside other threads: a child may inherit a lock that is never released.

    Raises:
        UnsupportedOption: there are such threads.
    """
    others = [t.name for t in threading.enumerate() if t is not threading.current_thread()]
    if others:
        raise UnsupportedOption(
            "start_method", f"'fork' needs a process without other threads; here are {others}"
        )


def start_fork_server(sources: TaskSources, folder: Path) -> None:
    """Start a fork server, if none runs, that has the tasks imported and dies with this process.

    One that a signal has stopped is continued.
    """
    _continue(fork_server_pid())
    if is_fork_server_alive():
        return
    multiprocessing.set_forkserver_preload([PRELOAD])
    # Else multiprocessing makes a folder of its own, which stays when this process is killed.
    multiprocessing_config().setdefault("tempdir", str(folder))
    note = {
        "sources": asdict(sources),
        "folder": str(folder),
        "PYTHONPATH": os.environ.get("PYTHONPATH"),
        "log_level": logging.root.level,
    }
    # The server is a bare `python -c`: it must find what this process finds.
    paths = os.pathsep.join(path for path in sys.path if path)
    with (
        _environment({PRELOAD_VARIABLE: json.dumps(note), "PYTHONPATH": paths}),
        without_main_module(),
    ):
        forkserver.ensure_running()


def stop_helpers(tracker_too: bool) -> None:
    """Stop the fork server, and the resource tracker; they start again when needed.

    Stopping a tracker unlinks all that is registered with it, other owners' semaphores too.
    """
    # Else their ends would be waited for without end.
    for pid in multiprocessing_helper_pids():
        _continue(pid)
    stop_fork_server()
    multiprocessing_config().pop("tempdir", None)
    if tracker_too:
        stop_resource_tracker()


def is_fork_server_alive() -> bool:
    """Whether the fork server runs."""
    pid = fork_server_pid()
    if pid is None:
        return False
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


def multiprocessing_helper_pids() -> set[int]:
    """The fork server and resource tracker of this process."""
    return {pid for pid in (fork_server_pid(), resource_tracker_pid()) if pid is not None}


def _continue(pid: int | None) -> None:
    if pid is not None and is_stopped(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def without_main_module() -> Iterator[None]:
    """Keep new processes from importing this one's `__main__`: no task is defined there."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

"""Starting processes: what must be so before, under each start method."""

import contextlib
import json
import multiprocessing
import os
import sys
import threading
import types
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from multiprocessing import forkserver, resource_tracker
from pathlib import Path

from workers.errors import UnsupportedOption
from workers.tasks.registry import TaskSources

PRELOAD = "workers.preload"
PRELOAD_VARIABLE = "BATCHPOOL_PRELOAD"


def check_fork_is_safe() -> None:
    """Refuse to fork beside other threads: a child may inherit a lock nobody will release.

    Raises:
        UnsupportedOption: there are such threads.
    """
    others = [t.name for t in threading.enumerate() if t is not threading.current_thread()]
    if others:
        raise UnsupportedOption(
            "start_method", f"'fork' needs a process without other threads; here are {others}"
        )


def start_fork_server(sources: TaskSources, folder: Path) -> None:
    """Have a fork server run that has the tasks imported and dies with this process."""
    server = forkserver._forkserver
    if is_fork_server_alive():
        return
    multiprocessing.set_forkserver_preload([PRELOAD])
    # Else multiprocessing makes a folder of its own, which stays when this process is killed.
    _config().setdefault("tempdir", str(folder))
    note = {"sources": asdict(sources), "PYTHONPATH": os.environ.get("PYTHONPATH")}
    # The server is a bare `python -c`: it must find what this process finds.
    paths = os.pathsep.join(path for path in sys.path if path)
    with _environment({PRELOAD_VARIABLE: json.dumps(note), "PYTHONPATH": paths}), bare_main():
        server.ensure_running()


def stop_helpers(tracker_too: bool) -> None:
    """End the fork server, and the resource tracker; they start again when needed.

    A tracker that is ended unlinks what is registered with it, whoever's it is.
    """
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    _config().pop("tempdir", None)
    if tracker_too:
        resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]


def is_fork_server_alive() -> bool:
    """Whether the fork server runs."""
    pid = fork_server_pid()
    if pid is None:
        return False
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


def fork_server_pid() -> int | None:
    """The PID of this process's fork server, if one was started."""
    pid: int | None = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    return pid


def helper_pids() -> set[int]:
    """The processes that multiprocessing itself keeps below this one."""
    tracker = resource_tracker._resource_tracker._pid  # type: ignore[attr-defined]
    return {pid for pid in (fork_server_pid(), tracker) if pid is not None}


def name_semaphores(folder: Path | None) -> None:
    """Name the semaphores of this process and its children after a folder, or as is usual."""
    _config()["semprefix"] = "/mp" if folder is None else f"/{_semaphore_prefix(folder)}"


def remove_semaphores(folder: Path) -> None:
    """Remove the semaphores named after a folder whose processes are all dead (Linux only).

    Their resource tracker does so too, unless it was killed as well.
    """
    for path in Path("/dev/shm").glob(f"sem.{_semaphore_prefix(folder)}-*"):  # noqa: S108
        path.unlink(missing_ok=True)


def _semaphore_prefix(folder: Path) -> str:
    # Short: macOS allows 30 characters in all.
    return f"bp{zlib.crc32(os.fsencode(folder.resolve())):08x}"


@contextlib.contextmanager
def bare_main() -> Iterator[None]:
    """Have new processes not import this one's `__main__` again: no task lives there."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _config() -> dict[str, object]:
    config: dict[str, object] = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    return config


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

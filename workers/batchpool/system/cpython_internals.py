"""CPython's private attributes: each is used here, and by name, so that a new release is one file.

Each function says on which versions it was checked; `tests/unit/system/test_cpython_internals.py`
has a test per attribute that fails by its name. Nothing heavy is imported above: each child and
each sub-interpreter loads this module.
"""

import _signal  # type: ignore[import-not-found]
import _thread
import os
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess  # no sub-interpreter can import all of it
    from traceback import TracebackException


def count_threads() -> int:
    """Threads of this interpreter besides the main one: `_thread._count` (3.11 to 3.14)."""
    return _thread._count()


def is_gil_enabled() -> bool:
    """Whether a GIL is in use: `sys._is_gil_enabled` (3.13, 3.14; before that always)."""
    is_enabled = getattr(sys, "_is_gil_enabled", None)
    return True if is_enabled is None else bool(is_enabled())


def signal_handler(number: int) -> Any:
    """The handler of a signal: `_signal.getsignal` (3.11 to 3.14).

    `signal.getsignal` makes an enum of each number and handler, which takes some hundred times as
    long.
    """
    return _signal.getsignal(number)


def block_signals(numbers: tuple[int, ...]) -> "set[int]":
    """Block more signals: `_signal.pthread_sigmask` (3.11 to 3.14); returns those blocked before.

    It makes no enums, as `signal_handler`.
    """
    blocked: set[int] = _signal.pthread_sigmask(_signal.SIG_BLOCK, numbers)
    return blocked


def environment_data() -> dict[bytes, bytes]:
    """What `os.environ` holds, not decoded: `os.environ._data` (3.11 to 3.14)."""
    data: dict[bytes, bytes] = os.environ._data  # type: ignore[attr-defined]
    return data


def calling_frame(depth: int) -> FrameType:
    """The frame `depth` calls above the caller's own: `sys._getframe` (3.11 to 3.14)."""
    return sys._getframe(depth + 1)


def frames_of_threads() -> Mapping[int, FrameType]:
    """The innermost frame of each thread by its ident: `sys._current_frames` (3.11 to 3.14)."""
    return sys._current_frames()


def cut_texts(parts: "TracebackException", most: int) -> None:
    """Cut the texts of an exception, its causes and its group: `_str` (3.11 to 3.14), and notes.

    To be called before they are formatted, which copies them several times.
    """
    seen = set()
    left = [parts]
    while left:
        each = left.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        each._str = _cut(each._str, most)  # type: ignore[attr-defined]
        if isinstance(notes := each.__notes__, list):
            each.__notes__ = [
                _cut(note, most) if isinstance(note, str) else note for note in notes[:_MOST_NOTES]
            ]
        left += [one for one in (each.__cause__, each.__context__) if one is not None]
        left += each.exceptions or []


_MOST_NOTES = 100


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def executor_processes(executor: Executor) -> "Mapping[int, BaseProcess]":
    """The processes of a process pool by PID: `_processes`, None once it has ended (3.11 to 3.14).

    The mapping is the executor's own: it follows what is started, and outlives the end.
    """
    processes: dict[int, BaseProcess] | None = getattr(executor, "_processes", None)
    return {} if processes is None else processes


def is_executor_broken(executor: Executor) -> bool:
    """Whether a pool takes no calls because a worker of it died: `_broken` (3.11 to 3.14)."""
    return bool(getattr(executor, "_broken", False))


def executor_threads(executor: ThreadPoolExecutor) -> int:
    """How many threads a thread or interpreter pool has started: `_threads` (3.11 to 3.14)."""
    return len(executor._threads)


def executor_manager(executor: Executor) -> threading.Thread | None:
    """The thread that passes calls to processes: `_executor_manager_thread` (3.11 to 3.14)."""
    manager: threading.Thread | None = getattr(executor, "_executor_manager_thread", None)
    return manager


def executor_feeder(executor: Executor) -> threading.Thread | None:
    """The thread that writes to a process pool's queue: `_call_queue._thread` (3.11 to 3.14)."""
    calls = getattr(executor, "_call_queue", None)
    feeder: threading.Thread | None = getattr(calls, "_thread", None)
    return feeder


class HookedThreadPoolExecutor(ThreadPoolExecutor):
    """A thread pool that asks `on_thread_wanted` before it starts another thread.

    Uses `_adjust_thread_count`, `_threads` and `_max_workers` (3.11 to 3.14).
    """

    @property
    def most_threads(self) -> int:
        """How many threads it has at most."""
        return self._max_workers

    @most_threads.setter
    def most_threads(self, most: int) -> None:
        self._max_workers = most

    def on_thread_wanted(self) -> None:
        """Start a thread if none is idle; called after each `submit`."""
        self.start_thread()

    def start_thread(self) -> None:
        """Start a thread if none is idle and `most_threads` is not reached."""
        super()._adjust_thread_count()

    def _adjust_thread_count(self) -> None:
        self.on_thread_wanted()


def multiprocessing_config() -> dict[str, Any]:
    """What children inherit: `multiprocessing.current_process()._config` (3.11 to 3.14).

    `semprefix` starts the names of semaphores; the fork server's socket lies in `tempdir`.
    """
    import multiprocessing

    config: dict[str, Any] = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    return config


def fork_server_pid() -> int | None:
    """The PID of the fork server, if started: `_forkserver._forkserver_pid` (3.11 to 3.14)."""
    from multiprocessing import forkserver

    pid: int | None = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    return pid


def stop_fork_server() -> None:
    """Stop the fork server and wait for its end: `_forkserver._stop` (3.11 to 3.14)."""
    from multiprocessing import forkserver

    forkserver._forkserver._stop()  # type: ignore[attr-defined]


def resource_tracker_pid() -> int | None:
    """The PID of the resource tracker: `_resource_tracker._pid` (3.11 to 3.14)."""
    from multiprocessing import resource_tracker

    pid: int | None = resource_tracker._resource_tracker._pid  # type: ignore[attr-defined]
    return pid


def stop_resource_tracker() -> None:
    """Stop the resource tracker and wait for its end: `_resource_tracker._stop` (3.11 to 3.14)."""
    from multiprocessing import resource_tracker

    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]


def pipes_of_fork_request(frame: FrameType) -> list[int] | None:
    """Descriptors of the request that the fork server's loop handles in `frame`; None elsewhere.

    Reads the locals `child_r`, `child_w` and `fds` of `multiprocessing.forkserver.main`
    (3.11 to 3.14).
    """
    request = frame.f_locals
    # One by one: from 3.13 on `keys()` of a frame's locals is a list.
    if not all(name in request for name in ("child_r", "child_w", "fds")):
        return None
    return [request["child_r"], request["child_w"], *request["fds"]]

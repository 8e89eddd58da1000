"""Each private attribute of CPython that is used is there, and does what it is used for."""

import ast
import inspect
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver, resource_tracker
from pathlib import Path

import pytest

from batchpool.system import cpython_internals as internals
from batchpool.system.process_tree import is_alive

ROOT = Path(__file__).parents[3]


@pytest.fixture
def pool() -> Iterator[ProcessPoolExecutor]:
    """One child, begun by spawn: this process has threads."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor
    internals.stop_resource_tracker()


def test_thread_count() -> None:
    before, over = internals.count_threads(), threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    assert internals.count_threads() == before + 1
    over.set()
    thread.join()


def test_sys_is_gil_enabled() -> None:
    assert internals.is_gil_enabled() or sys.version_info >= (3, 13)
    assert sys.version_info < (3, 13) or callable(sys._is_gil_enabled)


def test_signal_getsignal_and_pthread_sigmask() -> None:
    for number in signal.valid_signals():
        assert internals.signal_handler(number) == signal.getsignal(number)
    assert internals.block_signals(()) == signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_os_environ_data() -> None:
    found = {os.fsdecode(name): os.fsdecode(v) for name, v in internals.environment_data().items()}
    assert found == dict(os.environ)


def test_sys_current_frames() -> None:
    frame = internals.frames_of_threads()[threading.get_ident()]
    assert frame is not None and "frames_of_threads" in frame.f_code.co_name


def test_traceback_exception_str() -> None:
    error = ValueError("long" * 10)
    error.__cause__ = ValueError("short")
    parts = traceback.TracebackException.from_exception(error)
    internals.cut_texts(parts, 6)
    assert [line for line in parts.format() if line.startswith("Value")] == [
        "ValueError: short\n",
        "ValueError: longl…\n",
    ]


def test_sys_getframe() -> None:
    def called() -> str:
        return internals.calling_frame(1).f_code.co_name

    assert called() == "test_sys_getframe"


def test_process_pool_processes_manager_thread_and_call_queue(pool: ProcessPoolExecutor) -> None:
    pid = pool.submit(os.getpid).result()
    assert [process.pid for process in internals.executor_processes(pool).values()] == [pid]
    manager, feeder = internals.executor_manager(pool), internals.executor_feeder(pool)
    assert manager is not None and manager.is_alive()
    assert feeder is not None and feeder.is_alive()
    pool.shutdown()
    assert internals.executor_processes(pool) == {}
    assert not manager.is_alive() and not feeder.is_alive()


def test_process_pool_broken(pool: ProcessPoolExecutor) -> None:
    pid = pool.submit(os.getpid).result()
    assert not internals.is_executor_broken(pool)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(BrokenProcessPool):
        pool.submit(time.sleep, 60).result()
    assert internals.is_executor_broken(pool)


def test_thread_pool_threads() -> None:
    with ThreadPoolExecutor(2) as executor:
        assert internals.executor_threads(executor) == 0
        executor.submit(int).result()
        assert internals.executor_threads(executor) == 1


def test_thread_pool_adjust_thread_count_and_max_workers() -> None:
    barrier = threading.Barrier(3)
    with internals.HookedThreadPoolExecutor(2) as executor:
        assert executor.most_threads == 2
        waiting = [executor.submit(barrier.wait, 10) for _ in range(2)]
        barrier.wait(10)
        assert len({future.result() for future in waiting}) == 2
        executor.most_threads = 3
        over = threading.Event()
        blocked = [executor.submit(over.wait) for _ in range(5)]
        assert internals.executor_threads(executor) == 3
        over.set()
        assert all(future.result() for future in blocked)


def test_process_config_names_semaphores() -> None:
    config = internals.multiprocessing_config()
    before = config["semprefix"]
    config["semprefix"] = "/bpname"
    try:
        lock = multiprocessing.get_context("spawn").Lock()
        assert lock._semlock.name.startswith("/bpname-")
    finally:
        config["semprefix"] = before
        del lock
        internals.stop_resource_tracker()


def test_resource_tracker_pid_and_stop() -> None:
    resource_tracker.ensure_running()
    pid = internals.resource_tracker_pid()
    assert pid is not None and is_alive(pid)
    internals.stop_resource_tracker()
    assert internals.resource_tracker_pid() is None
    assert not is_alive(pid)


def test_fork_server_pid_stop_and_folder(tmp_path: Path) -> None:
    internals.multiprocessing_config()["tempdir"] = str(tmp_path)
    try:
        forkserver.ensure_running()
        pid = internals.fork_server_pid()
        assert pid is not None and is_alive(pid)
        assert [path.name[:9] for path in tmp_path.iterdir()] == ["listener-"]
        internals.stop_fork_server()
        assert internals.fork_server_pid() is None
        assert not is_alive(pid)
    finally:
        internals.multiprocessing_config().pop("tempdir")
        internals.stop_resource_tracker()


def test_fork_server_request_locals() -> None:
    used = set(forkserver.main.__code__.co_varnames)
    assert {"child_r", "child_w", "fds"} <= used
    child_r, child_w, fds = 3, 4, (5, 6)
    frame = inspect.currentframe()
    assert frame is not None
    assert internals.pipes_of_fork_request(frame) == [child_r, child_w, *fds]
    assert internals.pipes_of_fork_request(internals.calling_frame(1)) is None


def test_no_other_module_touches_them() -> None:
    names = set("_count _is_gil_enabled _getframe _processes _broken _call_queue _config".split())
    names |= set("_executor_manager_thread _adjust_thread_count _max_workers".split())
    names |= {"_forkserver", "_forkserver_pid", "_resource_tracker"}
    for path in (*ROOT.glob("workers/**/*.py"), *ROOT.glob("service/**/*.py")):
        if path.name == "cpython_internals.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in names:
                owner = node.value.id if isinstance(node.value, ast.Name) else ""
                assert owner in ("self", "other"), path
            if isinstance(node, ast.Constant) and node.value in names:
                pytest.fail(f"{path} names {node.value}")

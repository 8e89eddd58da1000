"""A complete stack on this machine: Redis, API, reconciler and workers as processes."""

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from batchpool.client.client import Client
from batchpool.client.errors import BatchpoolError, StackFailed
from batchpool.ledger.connection import check_url, connect
from batchpool.ledger.redis_url import BadRedisUrl
from batchpool.stack.folders import DataFolder, make_run_dir
from batchpool.stack.managed_process import LogSink
from batchpool.stack.process_group import ProcessGroup
from batchpool.stack.process_specs import StackProcesses, read_grace_s
from batchpool.stack.redis_server import (
    OLDEST,
    RedisChoice,
    choose_redis,
    default_data_dir,
    repair_advice,
    server_command,
)
from batchpool.stack.watchdog import Watchdog

_TICK_S = 0.1
# `timeout` and the like pass one signal on to us and to our whole group: it comes twice at once.
_SAME_SIGNAL_S = 0.5
# One of our own reads its append-only file first; one that is given is there, or is not.
_OWN_REDIS_READY_S = 60.0
_GIVEN_REDIS_READY_S = 3.0


@dataclass(frozen=True)
class StackOptions:
    """Options of a local stack.

    `data=None` keeps jobs in the user's state folder; `temporary` in a folder that goes with
    the stack. `environ` is what the processes see, besides what the stack sets itself.
    """

    workers: int = 2
    port: int = 0
    data: Path | None = None
    temporary: bool = False
    prefer_own_redis: bool = False
    follow_parent: bool = False
    ready_timeout_s: float = 60.0
    wedged_after_s: float = 30.0
    """A process that is alive and shows no sign of work for so long is killed and restarted."""
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


def _silent(_name: str, _line: str) -> None:
    pass


class LocalStack:
    """A stack that runs for the `with` block, and never outlives this process.

    One thread starts, watches and ends all processes: the kernel ties their lives to the thread
    that started them.
    """

    def __init__(self, options: StackOptions, log: LogSink = _silent) -> None:
        self.options = options
        self.url = ""
        self.redis_url = ""
        self.choice: RedisChoice | None = None
        self._folder: DataFolder | None = None
        self._id = uuid.uuid4().hex
        self._log = log
        self._processes = ProcessGroup(self._id, log)
        self._ready = threading.Event()
        # No Events: a signal handler that sets one can interrupt the thread that holds its lock.
        self._is_stopping = False
        self._is_forced = False
        self._over = threading.Event()
        self._failure: BatchpoolError | None = None
        self._asked: float | None = None
        self._last_failure = ""
        self._parent = os.getppid()
        self._thread = threading.Thread(target=self._run, name="local stack", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and return once jobs can run.

        Raises:
            NoRedis, StackFailed: with the reason; nothing is left running then.
        """
        self._thread.start()
        try:
            while not (self._ready.is_set() or self._over.is_set()):
                time.sleep(_TICK_S / 2)
        except BaseException:
            self.stop()
            raise
        if not self._ready.is_set():
            self._thread.join()
            raise self._failure or StackFailed("the stack was ended before it was ready")

    def stop(self) -> None:
        """Stop everything; return when no process of the stack is left."""
        self._is_stopping = True
        if self._thread.is_alive():
            self._thread.join()

    def request_stop(self) -> None:
        """Request a stop without waiting (for signal handlers); the second request forces it."""
        now = time.monotonic()
        if self._asked is None:
            self._asked = now
        elif now - self._asked > _SAME_SIGNAL_S:
            self._is_forced = True
        self._is_stopping = True

    def wait(self) -> None:
        """Return when the stack has ended, for any reason.

        Raises:
            StackFailed: it ended because it could not go on.
        """
        while not self._over.wait(_TICK_S):
            pass
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        if not self._is_stopping:
            raise StackFailed("the thread that watched the stack broke")

    def pids(self) -> dict[str, int]:
        """PIDs of the running processes, by name."""
        return self._processes.pids()

    @property
    def restarts(self) -> int:
        """Number of restarts of all processes."""
        return self._processes.restarts

    @property
    def leftovers(self) -> int:
        """Number of processes that had to be killed at the end."""
        return self._processes.leftovers

    # -- everything below runs in the stack's own thread

    def _run(self) -> None:
        try:
            with ExitStack() as cleanup:
                self._start_all(cleanup)
                self._watch()
        except BatchpoolError as error:
            self._failure = error
        finally:
            self._over.set()

    def _start_all(self, cleanup: ExitStack) -> None:
        options = self.options
        grace_s = read_grace_s(options.environ)
        listener = cleanup.enter_context(_bind(options.port))
        # An explicit data folder asks for a Redis of our own.
        own = options.prefer_own_redis or options.data is not None
        choice = self.choice = choose_redis(options.environ, prefer_own=own)
        self._log("stack", f"Redis: {choice.why}")
        if choice.program is not None:
            self._folder = cleanup.enter_context(DataFolder(self._data_dir(cleanup)))
            self._log("stack", f"data in {self._folder.data}")
        folder = self._folder
        run_dir = folder.run if folder is not None else make_run_dir(cleanup)
        self.redis_url = folder.url if folder is not None else str(choice.url)
        specs = StackProcesses(self._id, self.redis_url, run_dir, grace_s, options.environ)
        cleanup.callback(self._processes.end, last="redis", hurry=lambda: self._is_forced)
        if folder is not None and choice.program is not None:
            command = server_command(choice.program, folder.redis, folder.socket)
            self._processes.start(specs.redis(command))
        retry_for_s = _GIVEN_REDIS_READY_S if folder is None else _OWN_REDIS_READY_S
        self._await(self._redis_answers, retry_for_s, self._redis_name())
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        workers = specs.workers(options.workers)
        for spec in (specs.api(listener.fileno()), specs.reconciler(), *workers):
            self._processes.start(spec)
        self._await(self._can_run_jobs, options.ready_timeout_s, "the stack")
        api = listener.getsockname()
        self._watchdog = Watchdog(self.redis_url, api, self.pids, options.wedged_after_s)
        self._watchdog.start()
        cleanup.callback(self._watchdog.stop)
        self._ready.set()

    def _data_dir(self, cleanup: ExitStack) -> Path:
        if self.options.data is not None:
            return self.options.data
        if self.options.temporary:
            return make_run_dir(cleanup)
        return default_data_dir(self.options.environ)

    def _await(self, reached: Callable[[], bool], timeout_s: float, what: str) -> None:
        deadline = time.monotonic() + timeout_s
        while not reached():
            for name, ended in self._processes.ended():
                last_words = self._processes.log_tail(name)
                advice = self._repair_advice(last_words) if name == "redis" else ""
                raise StackFailed(f"{name} {ended} before {what} was ready{advice or last_words}")
            if self._should_stop():
                raise StackFailed(f"ended before {what} was ready")
            if time.monotonic() > deadline:
                raise StackFailed(f"{what} was not ready within {timeout_s:g} s{self._why_not()}")
            time.sleep(_TICK_S / 2)

    def _repair_advice(self, last_words: str) -> str:
        if self._folder is None or self.choice is None or self.choice.program is None:
            return ""
        return repair_advice(self.choice.program, self._folder.redis, last_words)

    def _redis_answers(self) -> bool:
        try:
            check_url(self.redis_url)
            with connect(self.redis_url, socket_timeout_s=2.0) as server:
                version = str(server.info("server").get("redis_version", "0"))
        except (redis.ConnectionError, redis.TimeoutError) as error:
            self._last_failure = str(error)
            return False
        except BadRedisUrl as error:
            raise StackFailed(f"REDIS_URL: {error}") from None
        except (redis.RedisError, ValueError) as error:
            raise StackFailed(f"{self._redis_name()} cannot be used: {error}") from None
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            raise StackFailed(f"{self._redis_name()} is {version}; needed is >= {oldest}")
        return True

    def _redis_name(self) -> str:
        # A URL may hold a password.
        return f"Redis at {self.redis_url.rpartition('@')[2]}"

    def _can_run_jobs(self) -> bool:
        try:
            with Client(self.url, retry_for_s=0, timeout_s=1.0) as client:
                ready = client.ready()
                seen = {worker["pid"] for worker in client.workers()}
        except BatchpoolError as error:
            self._last_failure = str(error)
            return False
        mine = {pid for name, pid in self.pids().items() if name.startswith("worker-")}
        self._last_failure = f"/readyz says {ready}; {len(mine & seen)} of {len(mine)} workers seen"
        return ready.get("status") == "ready" and mine <= seen

    def _why_not(self) -> str:
        return f": {self._last_failure}" if self._last_failure else ""

    def _watch(self) -> None:
        while not self._should_stop():
            for name, pid in self._watchdog.take_wedged():
                self._processes.kill_wedged(name, pid)
            self._processes.restart_dead()
            time.sleep(_TICK_S)

    def _should_stop(self) -> bool:
        if self.options.follow_parent and os.getppid() != self._parent:
            self._log("stack", "the parent process is gone")
            self._is_stopping = True
        return self._is_stopping


def _bind(port: int) -> socket.socket:
    """Open the listening socket, so that requests wait in it while the API restarts."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise StackFailed(
            f"port {port} of 127.0.0.1 cannot be used: {error.strerror}; --port 0 takes a free one"
        ) from None
    return listener

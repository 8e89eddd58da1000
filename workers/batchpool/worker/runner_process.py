"""The worker's side of its runner: start it, send batches, receive replies, kill it."""

import contextlib
import fcntl
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from batchpool.execution.finished_records import FINISHED_NAME, read_finished
from batchpool.execution.in_flight import read_in_flight
from batchpool.execution.last_log import read_last_log
from batchpool.ledger.ownership import Claim
from batchpool.ledger.values.announcements import IdlePool, WorkerCapabilities
from batchpool.model import Outcome
from batchpool.runner.messages import BadMessage, MessageReader
from batchpool.runner.protocol import Assignment, Ready, RunnerReply
from batchpool.system.file_stamps import ALL_FILES, is_changed, read_stamps
from batchpool.system.limits import explain, limit_behind, reached_limits
from batchpool.system.out_of_memory import OomKills
from batchpool.system.process_control import kill_orphans, kill_tree
from batchpool.system.process_tree import children_of_main_thread, command_of, is_stopped
from batchpool.system.semaphores import remove_semaphores
from batchpool.system.stopped_processes import LOOK_EVERY_S, StoppedProcesses
from batchpool.system.temp_folders import make_temp_folder, temp_root
from batchpool.worker.batch_deadlines import CHECK_EVERY_S

READY_WITHIN_S = 60.0
YOUNG_S = 10.0
LONG_S = 0.1
"""Of what runs for a shorter time, most will be recorded by the time that anybody asks."""
_PREFIX = "batchpool-run-"
_FORK_SERVER = "multiprocessing.forkserver"

log = logging.getLogger("batchpool.worker")


class RunnerDied(Exception):
    """The runner ended without a reply; the message says how."""


class RunnerStartFailed(Exception):
    """No runner can be started; names the limit of this machine, if there is one."""


class RunnerProcess:
    """One runner: a child in a session of its own, killable with all that it started.

    It must be made by the worker's main thread: the runner is killed when that thread ends.

    Raises:
        RunnerStartFailed: there is no room for another process, descriptor or folder.
    """

    def __init__(self, known: str = "") -> None:
        """Args:
        known: the fingerprint of the capabilities that the worker knows; the runner sends its own
            if it differs.
        """
        with contextlib.ExitStack() as undo:
            try:
                self._start(known, undo)
            except (OSError, MemoryError) as refusal:
                folder = Path(temp_root(), _PREFIX)
                raise RunnerStartFailed(explain(refusal, folder)) from refusal
            undo.pop_all()
        self._oom_kills = OomKills()
        self._stopped = StoppedProcesses()
        self._is_stopped = False
        self._next_look_s = 0.0
        self.capabilities: WorkerCapabilities | None = None
        self.fingerprint = ""
        self.idle_pools: tuple[IdlePool, ...] = ()
        self.was_ready = False
        self._finished = b""
        self.last_log = ""

    def _start(self, known: str, undo: contextlib.ExitStack) -> None:
        ours, theirs = socket.socketpair()
        undo.enter_context(ours)
        undo.enter_context(theirs)
        self.folder = make_temp_folder(_PREFIX)
        undo.callback(shutil.rmtree, self.folder, ignore_errors=True)
        # Locked while this process lives, so that another one can recognise a stale folder.
        self._lock = undo.enter_context(open(self.folder / "lock", "w"))
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        arguments = [str(theirs.fileno()), str(self.folder), known, "1"]
        # -P: no file where the user stands takes the place of one of ours or of the standard
        # library; task modules find their project by `TaskSources.root`.
        command = [sys.executable, "-P", "-m", "batchpool.runner", *arguments]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
                command,
                pass_fds=[theirs.fileno()],
                # What multiprocessing puts there goes with the folder, after a SIGKILL too.
                env={**os.environ, "TMPDIR": str(self.folder)},
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._connection: Connection[Assignment, Any] = Connection(ours.detach())
        self._messages = MessageReader(self._connection.fileno())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_ready(self) -> bool:
        """Whether it can take a batch, or has ended before it could: then `wait_ready` says so."""
        return self.was_ready or self._messages.has_data

    @property
    def has_changed_files(self) -> bool:
        """Whether a file of the tasks is not what it was when this runner loaded them."""
        try:
            return is_changed(read_stamps(self.folder).get(ALL_FILES, ()))
        except (ValueError, TypeError, AttributeError):
            # Not what the runner wrote: its tasks can write there too.
            return True

    def wait_ready(self, on_wait: Callable[[], None]) -> None:
        """Wait until the runner can take a batch.

        Args:
            on_wait: called every `CHECK_EVERY_S` meanwhile: the tasks' modules may load for long.
        Raises:
            RunnerStartFailed: it ended, or was not ready in time; it was killed.
        """
        if self.was_ready:
            return
        ends = time.monotonic() + READY_WITHIN_S
        try:
            while not (message := self.receive(CHECK_EVERY_S)) and time.monotonic() < ends:
                on_wait()
        except RunnerDied as death:
            limit = limit_behind(EOFError(), self.folder) or _reached_limit(self.folder.parent)
            self.kill()
            raise RunnerStartFailed(limit or f"it {death}") from death
        if not isinstance(message, Ready):
            self.kill()
            raise RunnerStartFailed(f"it was not ready within {READY_WITHIN_S:g} s")
        self.capabilities, self.fingerprint = message.capabilities, message.fingerprint
        self.was_ready = True

    @property
    def is_lost(self) -> bool:
        """Whether it has ended, or a signal keeps it stopped: it must get no batch."""
        if self._process.poll() is not None:
            return True
        # Not for each of many short batches: to look costs a tenth of what one costs the worker.
        if (now_s := time.monotonic()) >= self._next_look_s:
            self._next_look_s = now_s + LOOK_EVERY_S
            self._is_stopped = is_stopped(self.pid)
        return self._is_stopped

    def check_stopped(self) -> None:
        """Call it while a batch runs: a signal may have stopped the runner or its fork server.

        The fork server may hold up the runner; it is continued, since tasks run below it.

        Raises:
            RunnerDied: the runner has been stopped for long.
        """
        stopped = self._stopped.find(self._watched)
        if self.pid in stopped:
            raise RunnerDied("stopped by a signal")
        for pid in stopped:
            log.warning("fork server %d was stopped by a signal; it is continued", pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _watched(self) -> Iterator[int]:
        yield self.pid
        for pid in children_of_main_thread(self.pid):
            if is_stopped(pid) and _FORK_SERVER in command_of(pid):
                yield pid

    def send(self, assignment: Assignment) -> None:
        try:
            self._connection.send(assignment)
        except OSError as error:
            raise self._death() from error

    def receive(self, timeout_s: float) -> RunnerReply | Ready | None:
        """The runner's next message, or None if there is none in time.

        Raises:
            RunnerDied: there will be none.
        """
        try:
            message = self._messages.read(timeout_s)
        except BadMessage as error:
            # Whoever catches this kills it.
            raise RunnerDied(f"sent rubbish: {error}") from error
        except (EOFError, OSError) as error:
            raise self._death() from error
        if isinstance(message, RunnerReply):
            self.idle_pools = message.idle_pools
        return message

    def drain(self) -> None:
        """Signal it to take no more items, and to reply when the running ones have ended."""
        self._process.send_signal(signal.SIGUSR1)

    def in_flight(self) -> frozenset[int]:
        """The items that the runner's own threads run, or ran when it died."""
        return frozenset(index for index, _ in read_in_flight(self.folder))

    def finished(self, claim: Claim) -> list[Outcome]:
        """The last records of that claim that were made in a runner that was killed."""
        return read_finished(self._finished, claim.token)

    def long_running(self) -> list[int]:
        """The items that have run for `LONG_S`, oldest first."""
        latest = time.monotonic_ns() - LONG_S * 1e9
        running = sorted((start, index) for index, start in read_in_flight(self.folder))
        return [index for start, index in running if start <= latest]

    def kill(self) -> None:
        """Kill it with everything below it; returns when all of that is dead."""
        kill_tree(self.pid)
        self._process.wait()
        with contextlib.suppress(OSError):
            self._finished = (self.folder / FINISHED_NAME).read_bytes()
        self.last_log = read_last_log(self.folder)
        self._connection.close()
        self._lock.close()
        kill_orphans()
        remove_semaphores(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _death(self) -> RunnerDied:
        try:
            code = self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            return RunnerDied("the runner closed its connection")
        return RunnerDied(describe_exit(code) + self._oom_kills.note(code))


def _reached_limit(folder: Path) -> str | None:
    return next(iter(reached_limits(folder, Path("/dev/shm"))), None)  # noqa: S108


def describe_exit(code: int) -> str:
    """Describe a return code of subprocess: `killed by SIGSEGV` or `exited with 3`."""
    if code >= 0:
        return f"exited with {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def remove_stale_folders() -> None:
    """Remove what workers that have ended left: SIGKILL gave them no time for it."""
    for folder in Path(temp_root()).glob(_PREFIX + "*"):
        with contextlib.suppress(OSError), open(folder / "lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A new one may be about to be locked by the worker that has just made it.
            if time.time() - os.fstat(lock.fileno()).st_mtime > YOUNG_S:
                remove_semaphores(folder)
                shutil.rmtree(folder, ignore_errors=True)

"""All child processes of one stack: start, restart, stop, find leftovers."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import psutil

from batchpool.stack.managed_process import LogSink, ManagedProcess, ProcessSpec

STACK_ID_VARIABLE = "BATCHPOOL_STACK"
"""Every process of a stack, and all they start, carry this variable with the stack's id."""

_LEFTOVERS_S = 2.0
_LOOK_S = 0.1


class ProcessGroup:
    """The processes of a stack, in start order."""

    def __init__(self, stack_id: str, log: LogSink) -> None:
        self.leftovers = 0
        self._stack_id = stack_id
        self._log = log
        self._processes: dict[str, ManagedProcess] = {}

    def start(self, spec: ProcessSpec) -> None:
        """Start one more process."""
        process = ManagedProcess(spec, self._log)
        self._processes[spec.name] = process
        process.start()

    def pids(self) -> dict[str, int]:
        """PIDs of the running processes, by name."""
        processes = list(self._processes.items())
        return {name: pid for name, process in processes if (pid := process.pid) is not None}

    @property
    def restarts(self) -> int:
        """Number of restarts of all processes."""
        return sum(process.restarts for process in list(self._processes.values()))

    def ended(self) -> Iterator[tuple[str, str]]:
        """Processes that have ended since the last call, and how."""
        for name, process in self._processes.items():
            if (how := process.poll()) is not None:
                yield name, how

    def log_tail(self, name: str) -> str:
        """Return the last log lines of a process, indented, for an error message."""
        process = self._processes[name]
        process.join_log()
        lines = "\n".join(f"  {line}" for line in process.tail)
        return f"; its last words:\n{lines}" if lines else ""

    def restart_dead(self) -> None:
        """Restart dead processes with back-off."""
        for name, how in self.ended():
            self._log("stack", f"{name} {how}; starts again in {self._processes[name].pause_s:g} s")
        for name, process in self._processes.items():
            if process.restart_if_due():
                self._log("stack", f"{name} started again")

    def kill_wedged(self, name: str, pid: int) -> None:
        """Kill a process that is alive and does not work; `restart_dead` starts it again."""
        process = self._processes[name]
        if process.pid == pid:
            self._log("stack", f"{name} (PID {pid}) is alive and does not work; killed")
            process.kill()

    def end(self, last: str, hurry: Callable[[], bool]) -> None:
        """Stop all processes, `last` after the others, and kill what they left behind."""
        for processes in (
            [process for name, process in self._processes.items() if name != last],
            [process for name, process in self._processes.items() if name == last],
        ):
            self._end(processes, hurry)
        killed = end_leftovers(self._stack_id, 0.0 if hurry() else _LEFTOVERS_S)
        self.leftovers += len(killed)
        for process in killed:
            self._log("stack", f"process {process.pid} was left over; killed")
        for managed in self._processes.values():
            managed.join_log()

    def _end(self, processes: list[ManagedProcess], hurry: Callable[[], bool]) -> None:
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + max((m.spec.grace_s for m in processes), default=0.0)
        for process in processes:
            while not process.wait(time.monotonic() + _LOOK_S):
                if time.monotonic() >= deadline or hurry():
                    self._log("stack", f"{process.spec.name} does not end; killed")
                    process.kill()
                    process.wait(time.monotonic() + 5.0)
                    break


def marked_processes(stack_id: str) -> list[psutil.Process]:
    """Find all processes of the stack, whatever their parent is now; never the caller."""
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with suppress(psutil.Error, OSError):
            if process.environ().get(STACK_ID_VARIABLE) == stack_id:
                found.append(process)
    return found


def end_leftovers(stack_id: str, retry_for_s: float) -> list[psutil.Process]:
    """Wait for the stack's last processes to exit, then kill the rest.

    Returns: what had to be killed.
    """
    deadline = time.monotonic() + retry_for_s
    left = marked_processes(stack_id)
    while left and time.monotonic() < deadline:
        psutil.wait_procs(left, timeout=0.1)
        left = marked_processes(stack_id)
    killed = left
    while left:
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        _, alive = psutil.wait_procs(left, timeout=1.0)
        # A process that the kernel does not let go (state D) must not hang the end of the stack.
        left = [p for p in marked_processes(stack_id) if p not in alive]
    return killed

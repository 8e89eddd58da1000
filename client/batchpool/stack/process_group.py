"""All members of one local stack together: watched, mended, and ended without a trace."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil

from batchpool.stack.managed_process import LogSink, ManagedProcess, ProcessSpec

STACK_ID_VARIABLE = "BATCHPOOL_STACK"
"""Every process of a stack, and all they start, carry this variable with the stack's id."""

_LEFTOVERS_S = 2.0
_LOOK_S = 0.1


class ProcessGroup:
    """The members of a stack, in the order of their start."""

    def __init__(self, stack_id: str, log: LogSink) -> None:
        self.leftovers = 0
        self._stack_id = stack_id
        self._log = log
        self._members: dict[str, ManagedProcess] = {}

    def start(self, spec: ProcessSpec) -> None:
        """Start one more member."""
        member = ManagedProcess(spec, self._log)
        self._members[spec.name] = member
        member.start()

    def pids(self) -> dict[str, int]:
        """The members that run now, by name."""
        members = list(self._members.items())
        return {name: pid for name, member in members if (pid := member.pid) is not None}

    @property
    def restarts(self) -> int:
        """How often a member had to be started again."""
        return sum(member.restarts for member in list(self._members.values()))

    def ended(self) -> Iterator[tuple[str, str]]:
        """The members that have ended since the last look, and how."""
        for name, member in self._members.items():
            if (how := member.poll()) is not None:
                yield name, how

    def log_tail(self, name: str) -> str:
        """The end of a dead member's log, indented, for an error message."""
        member = self._members[name]
        member.join_log()
        lines = "\n".join(f"  {line}" for line in member.tail)
        return f"; its last words:\n{lines}" if lines else ""

    def restart_dead(self) -> None:
        """Start again who has died, after a pause that grows."""
        for name, how in self.ended():
            self._log("stack", f"{name} {how}; starts again in {self._members[name].pause_s:g} s")
        for name, member in self._members.items():
            if member.restart_if_due():
                self._log("stack", f"{name} started again")

    def end(self, last: str, hurry: threading.Event) -> None:
        """End all members, `last` after all others, and whatever they left behind."""
        for members in (
            [member for name, member in self._members.items() if name != last],
            [member for name, member in self._members.items() if name == last],
        ):
            self._end(members, hurry)
        killed = end_leftovers(self._stack_id, 0.0 if hurry.is_set() else _LEFTOVERS_S)
        self.leftovers += len(killed)
        for process in killed:
            self._log("stack", f"process {process.pid} was left over; killed")
        for member in self._members.values():
            member.join_log()

    def _end(self, members: list[ManagedProcess], hurry: threading.Event) -> None:
        for member in members:
            member.terminate()
        deadline = time.monotonic() + max((m.spec.grace_s for m in members), default=0.0)
        for member in members:
            while not member.wait(time.monotonic() + _LOOK_S):
                if time.monotonic() >= deadline or hurry.is_set():
                    self._log("stack", f"{member.spec.name} does not end; killed")
                    member.kill()
                    member.wait(time.monotonic() + 5.0)
                    break


def marked_processes(stack_id: str) -> list[psutil.Process]:
    """All processes of the stack, whoever their parent is now; never the caller."""
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with suppress(psutil.Error, OSError):
            if process.environ().get(STACK_ID_VARIABLE) == stack_id:
                found.append(process)
    return found


def end_leftovers(stack_id: str, patience_s: float) -> list[psutil.Process]:
    """Wait for the stack's last processes to go by themselves, then kill what stays.

    Returns: what had to be killed.
    """
    deadline = time.monotonic() + patience_s
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

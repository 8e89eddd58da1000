"""Run a program that dies with the process that started it.

Started as a file (`python -I launch.py PARENT_PID BLOCKED PROGRAM ARGS...`), so that it imports
nothing of this package: it costs one bare interpreter start and is gone by `exec`. BLOCKED is the
number of a signal that does not reach the program, or 0.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel to SIGKILL this process when its parent exits; kept over `exec`.

    Linux only; elsewhere it does nothing, and processes outlive a parent that is SIGKILLed.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    # The parent may have died before the call: then nobody would send the signal any more.
    if os.getppid() != parent_pid:
        os._exit(1)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    if blocked := int(sys.argv[2]):
        signal.pthread_sigmask(signal.SIG_BLOCK, [blocked])
    os.execvp(sys.argv[3], sys.argv[3:])  # noqa: S606

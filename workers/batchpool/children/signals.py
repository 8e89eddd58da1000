"""Signals of a child: the default ones, and how it ends itself."""

import signal

# As they are at the import: a task may replace functions.
_raise_signal, _SIGKILL = signal.raise_signal, signal.SIGKILL


def reset_signals() -> None:
    """Handle signals as a new process does; Ctrl-C is for the supervisor to handle."""
    # Under fork the handlers of the runner came along.
    numbers = (signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM, signal.SIGHUP, signal.SIGUSR1)
    for number in numbers:
        signal.signal(number, signal.SIG_DFL)
    # By a handler: what tasks start would inherit that it is ignored.
    signal.signal(signal.SIGINT, _do_nothing)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.set_wakeup_fd(-1)


def end_now() -> None:
    """End this process by SIGKILL, whatever a task has done to it."""
    _raise_signal(_SIGKILL)


def _do_nothing(*_: object) -> None:
    pass

"""A stack is told to stop by signals, which come at any moment, and one within another."""

import signal
import threading
from time import monotonic

import pytest

from batchpool.stack.local_stack import LocalStack, StackOptions

LASTS_S = 1.0


@pytest.mark.timeout(20)
def test_signals_that_interrupt_one_another_never_wait_for_one_another() -> None:
    stack = LocalStack(StackOptions())
    # With a lock that one of them holds, each next one would wait in a frame of its own.
    before = signal.signal(signal.SIGUSR2, lambda *_: stack.request_stop())
    main = threading.main_thread().ident
    assert main is not None
    end = monotonic() + LASTS_S

    def send() -> None:
        while monotonic() < end:
            signal.pthread_kill(main, signal.SIGUSR2)

    sender = threading.Thread(target=send)
    try:
        sender.start()
        while monotonic() < end:
            stack.request_stop()
    finally:
        sender.join()
        signal.signal(signal.SIGUSR2, before)
    stack.stop()

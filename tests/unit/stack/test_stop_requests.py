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
    assert stack._is_stopping and stack._is_forced


def test_only_a_signal_well_after_the_first_counts_as_the_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("batchpool.stack.local_stack.time.monotonic", lambda: now)
    stack = LocalStack(StackOptions())
    # As when its parent has gone, before the first signal.
    stack.stop()
    for later, is_forced in ((10, False), (0.4, False), (0.2, True)):
        now += later
        stack.request_stop()
        assert stack._is_forced == is_forced

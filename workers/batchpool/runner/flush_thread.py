"""The thread of a runner that flushes records while a backend runs tasks in the same process."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from batchpool.errors import LimitReached
from batchpool.runner.protocol import RunnerReply
from batchpool.runner.record_writer import FLUSH_AFTER_S, OwnershipLost, RecordWriter
from batchpool.system.limits import start_thread

log = logging.getLogger("batchpool.runner")


class FlushThread:
    """Flushes during each batch that wants it, and waits between them.

    It is kept, since to start and to join a thread takes a small batch three switches between
    threads. No batch need wake it either while batches follow each other closely.

    Args:
        tick: writes what is due.
        give_up: called in the thread when records cannot be written, with the reply of the batch.
    """

    def __init__(self, tick: Callable[[], None], give_up: Callable[[RunnerReply], None]) -> None:
        self._tick = tick
        self._give_up = give_up
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._turn = threading.Lock()
        self._writer: RecordWriter | None = None
        self._is_parked = False
        self._must_end = False

    def keep(self, needed: bool, make_room: Callable[[], None]) -> None:
        """Have the thread run if the next batch needs it; else end it: it may have to fork.

        Args:
            make_room: called when the kernel starts no thread, before one more try.
        Raises:
            LimitReached: it still starts none.
        """
        is_alive = self._thread is not None and self._thread.is_alive()
        if is_alive and not needed:
            self._stop()
        elif needed and not is_alive:
            try:
                self._start()
            except LimitReached:
                make_room()
                self._start()

    @contextmanager
    def flushing(self, writer: RecordWriter) -> Iterator[None]:
        """Flush in the thread during the block; after it, no flush is under way."""
        writer.buffer.is_due = self._wake
        writer.buffer.has_taker = True
        self._writer = writer
        # Read after the writer was set, which the thread looks for after it has set this.
        if self._is_parked:
            self._wake.set()
        try:
            yield
        finally:
            with self._turn:
                self._writer = None
            writer.buffer.has_taker = False

    def _start(self) -> None:
        self._must_end = False
        # A daemon: the runner need not wait for it when it ends.
        thread = threading.Thread(target=self._run, name="flusher", daemon=True)
        start_thread(thread)
        self._thread = thread

    def _stop(self) -> None:
        assert self._thread
        self._must_end = True
        self._wake.set()
        self._thread.join()
        self._thread = None

    def _run(self) -> None:
        while not self._must_end:
            self._wake.wait(self._pause_s())
            self._wake.clear()
            with self._turn:
                if self._writer and not self._must_end:
                    self._flush(self._writer)

    def _pause_s(self) -> float | None:
        self._is_parked = True
        writer = self._writer
        if writer is None:
            return None
        self._is_parked = False
        return 0 if writer.is_behind else FLUSH_AFTER_S / 2

    def _flush(self, writer: RecordWriter) -> None:
        try:
            self._tick()
            return
        except OwnershipLost as refusal:
            # No thread can be ended from here: the worker kills this process on the reply. But it
            # may be frozen, and what is left of the batch belongs to another one.
            reply = RunnerReply("disowned", str(refusal))
        except Exception as error:
            # Not only at the end of the batch: its tasks may run for hours.
            log.exception("records could not be written")
            reply = RunnerReply("broken", f"{type(error).__name__}: {error}")
        self._give_up(reply)
        # Nobody may wait for it any more.
        self._writer = None
        writer.buffer.has_taker = False

"""What items printed and logged, until their records are written: bounded texts by item."""

import threading
from collections.abc import Callable, Iterable

MOST_ITEM_BYTES = 8 << 10
"""Of a longer log the beginning and the end are kept, with a note between them."""
MOST_BATCH_BYTES = 1 << 20
"""Of all items of a batch; half of it is kept free for items that do not succeed."""
NEXT_ATTEMPT = "--- next attempt ---\n"
_HALF = (MOST_ITEM_BYTES - 80) // 2
"""Of a log that is cut; the rest is for the note."""
_MOST_WAITING_BYTES = 16 << 20
"""In this process, for records that are not written yet: what is printed beyond it is dropped."""


class ItemLog:
    """The text of one attempt of an item, as UTF-8; `size` is what is kept of it."""

    __slots__ = ("_cut", "_kept")

    def __init__(self) -> None:
        self._kept = bytearray()
        self._cut = 0

    @property
    def size(self) -> int:
        return len(self._kept)

    def append(self, text: str, is_kept: bool = True) -> None:
        """Add text, or only count it as cut; what UTF-8 cannot hold is written as escapes."""
        data = text.encode("utf-8", "backslashreplace")
        if not is_kept:
            self._cut += len(data)
            return
        self._kept += data
        if len(self._kept) > 2 * MOST_ITEM_BYTES:
            self._drop_middle()

    def text(self) -> str:
        """What is kept of it."""
        if self._cut or len(self._kept) > MOST_ITEM_BYTES:
            self._drop_middle()
        if not self._cut:
            return self._kept.decode()
        first, last = self._kept[:_HALF], self._kept[_HALF:]
        note = f"\n… {self._cut:,} bytes of the log were cut here …\n"
        return first.decode("utf-8", "ignore") + note + last.decode("utf-8", "ignore")

    def _drop_middle(self) -> None:
        surplus = max(0, len(self._kept) - 2 * _HALF)
        del self._kept[_HALF : _HALF + surplus]
        self._cut += surplus


class ItemLogs:
    """The logs of the items of one batch, by index and start of the attempt; for any thread.

    `waiting` is empty while nothing was printed, so that looking at it costs an item nothing.
    `show` is called with start and log of an item that has printed more.
    """

    def __init__(self) -> None:
        self.show: Callable[[int, str], None] | None = None
        self.begin(is_kept=False)

    def begin(self, is_kept: bool) -> None:
        """Forget all; `is_kept` is whether the logs of the next batch are kept."""
        # Reentrant: a signal handler may print while its thread prints. New: a forked process
        # must not inherit it locked.
        self._lock = threading.RLock()
        self._is_kept = is_kept
        self._bytes = 0
        self.waiting: dict[int, dict[int, ItemLog]] = {}

    def append(self, index: int, started_ns: int, text: str) -> None:
        """Add what an attempt of an item has printed."""
        if not self._is_kept:
            return
        with self._lock:
            log = self.waiting.setdefault(index, {}).setdefault(started_ns, ItemLog())
            before = log.size
            log.append(text, is_kept=self._bytes < _MOST_WAITING_BYTES)
            self._bytes += log.size - before
            if self.show:
                self.show(started_ns, log.text())

    def take(self, index: int) -> str | None:
        """The log of an item that has ended, with all attempts; None if it printed nothing."""
        with self._lock:
            attempts = self.waiting.pop(index, {}).values()
            self._bytes -= sum(log.size for log in attempts)
        return _join([log.text() for log in attempts])

    def take_all(self, indices: Iterable[int]) -> dict[int, str]:
        """The logs of these items that have ended, by position in `indices`."""
        if not self.waiting:
            return {}
        found = {at: self.take(index) for at, index in enumerate(indices) if index in self.waiting}
        return {at: log for at, log in found.items() if log is not None}


def _join(attempts: list[str]) -> str | None:
    if len(attempts) < 2:
        return attempts[0] if attempts else None
    whole = ItemLog()
    whole.append(NEXT_ATTEMPT.join(f"{text.rstrip()}\n" for text in attempts))
    return whole.text()


class LogBudget:
    """How much of the logs of a batch is kept."""

    def __init__(self, used_bytes: int = 0) -> None:
        self.used_bytes = used_bytes

    def fit(self, log: str, has_succeeded: bool) -> str | None:
        """The log of an item if there is room for it, else None."""
        size = len(log.encode())
        most = MOST_BATCH_BYTES // 2 if has_succeeded else MOST_BATCH_BYTES
        if self.used_bytes + size > most:
            return None
        self.used_bytes += size
        return log

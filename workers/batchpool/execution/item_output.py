"""Find out which item prints or logs: keep the text with it, and name it on the console.

`sys.stdout` and `sys.stderr` of the processes and interpreters that run tasks are `ItemStream`s. An
item needs no call for that: who writes looks up which item the slot of its thread, or of its
coroutine, runs. So an item that prints nothing costs nothing.
"""

import io
import logging
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TextIO

from batchpool.execution import forks
from batchpool.execution.item_logs import ItemLogs
from batchpool.execution.slot import RunningSlot
from batchpool.system.logs import FORMAT, configure_logging

MOST_LINE = 64 << 10
"""Characters of a line on the console."""

item_logs = ItemLogs()
_job_id = ""
_thread = threading.local()
_coroutine: ContextVar[tuple[RunningSlot, int]] = ContextVar("batchpool item")
_formatter = logging.Formatter(FORMAT)
_streams: list["ItemStream"] = []
"""Those that were installed: a task may have put others in their place."""


@dataclass(frozen=True)
class RunningItem:
    """An item that runs, and the identity of the slot that it runs in."""

    index: int
    started_ns: int
    slot: int


def begin_batch(job_id: str, is_kept: bool) -> None:
    """From here on items are those of this job; `is_kept` is whether their logs are kept."""
    global _job_id
    _job_id = job_id
    item_logs.begin(is_kept)


def enter_thread(slot: RunningSlot) -> None:
    """What this thread prints belongs to the item that the slot shows."""
    _thread.slot = slot


def enter_coroutine(slot: RunningSlot, started_ns: int) -> None:
    """What this context prints, and those copied from it, belongs to the item that began then."""
    _coroutine.set((slot, started_ns))


def running_item() -> RunningItem | None:
    """The item that the caller runs for, None if there is none, or if it has ended."""
    if forks.is_stray:
        return None
    slot, began_ns = _coroutine.get(None) or (getattr(_thread, "slot", None), None)
    if slot is None:
        return None
    try:
        started_ns, number = slot[0], slot[1]
    except ValueError:
        return None  # The batch is over, and its in-flight table closed.
    if number == 0 or began_ns not in (None, started_ns):
        return None
    return RunningItem(number - 1, started_ns, id(slot))


def install(level: str | int) -> None:
    """Put streams that know their items in the place of stdout and stderr; log from `level` on.

    To be called before tasks are loaded: a module may keep the streams that it finds.
    """
    for name in ("stdout", "stderr"):
        console = getattr(sys, name)
        if console is not None and not isinstance(console, ItemStream):
            stream = ItemStream(console, name)
            _streams.append(stream)
            if getattr(sys, f"__{name}__") is console:
                setattr(sys, f"__{name}__", stream)
            setattr(sys, name, stream)
    if isinstance(sys.stderr, ItemStream):
        configure_logging(level, ItemHandler(sys.stderr.console))


def finish_lines() -> None:
    """Write lines that items have begun and not ended."""
    for stream in _streams:
        stream.finish_lines()


class ItemStream(io.TextIOBase):
    """A text stream that keeps what an item writes with the item; all goes to the console.

    On the console each line of an item is like one of the log, with its job and index. Lines are
    put together by slot, so that items that run side by side do not mix theirs.
    """

    def __init__(self, console: TextIO, name: str) -> None:
        self.console = console
        self._name = name
        self._is_closed = False
        self._begun: dict[int, tuple[RunningItem, str]] = {}

    def write(self, text: str) -> int:
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        item = running_item()
        if item is None:
            return self.console.write(text)
        item_logs.append(item.index, item.started_ns, text)
        # No lock, only single steps of a dict: nobody else waits for a console that is slow.
        begun_by, begun = self._begun.pop(item.slot, (item, ""))
        if begun_by != item:
            self._show(begun_by, [begun])
            begun = ""
        *lines, rest = (begun + text).replace("\r", "\n").split("\n")
        if len(rest) > MOST_LINE:
            lines.append(rest)
        elif rest:
            self._begun[item.slot] = item, rest
        self._show(item, lines)
        return len(text)

    def finish_lines(self) -> None:
        """Write the lines that were begun and not ended."""
        for slot in list(self._begun):
            item, rest = self._begun.pop(slot)
            self._show(item, [rest])

    def _show(self, item: RunningItem, lines: list[str]) -> None:
        if lines:
            record = logging.makeLogRecord({"levelname": "INFO", "name": self._name})
            _write_lines(self.console, _formatter.format(record), item.index, lines)

    def flush(self) -> None:
        if not self._is_closed:
            with suppress(OSError):
                self.console.flush()

    def close(self) -> None:
        self._is_closed = True

    @property
    def closed(self) -> bool:
        return self._is_closed or self.console.closed

    # What TextIOBase has of its own, so that `__getattr__` would not be asked.

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.console.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self.console.errors

    @property
    def newlines(self) -> Any:  # type: ignore[override]
        return self.console.newlines

    def fileno(self) -> int:
        return self.console.fileno()

    def isatty(self) -> bool:
        return self.console.isatty()

    def writable(self) -> bool:
        return True

    def detach(self) -> Any:
        return getattr(self.console, "detach")()  # noqa: B009 - not every stream has it

    def __getattr__(self, name: str) -> Any:
        return getattr(self.console, name)


class ItemHandler(logging.StreamHandler[TextIO]):
    """Logs to the console; what an item logs is kept with it too."""

    def emit(self, record: logging.LogRecord) -> None:
        item = running_item()
        if item is None:
            super().emit(record)
            return
        try:
            text = self.format(record)
        except Exception:
            self.handleError(record)
            return
        item_logs.append(item.index, item.started_ns, f"{text}\n")
        head = f"{getattr(record, 'asctime', '')} {record.levelname} {record.name}: "
        # A task may have given this handler another format.
        body = text.removeprefix(head)
        _write_lines(self.stream, head if body != text else "", item.index, body.split("\n"))


def _write_lines(console: TextIO, head: str, index: int, lines: Iterable[str]) -> None:
    text = "".join(f"{head}{_job_id}[{index}] {_cut(line)}\n" for line in lines if line)
    encoding = console.encoding or "utf-8"
    # A console that is gone, or full, is no failure of the item.
    with suppress(OSError, ValueError):
        console.write(text.encode(encoding, "backslashreplace").decode(encoding))
        console.flush()


def _cut(line: str) -> str:
    surplus = len(line) - MOST_LINE
    if surplus <= 0:
        return line
    return f"{line[:MOST_LINE]} … {surplus:,} more characters of this line were dropped"

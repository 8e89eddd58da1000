"""Monitor child processes: receive frames and notice exits in one select loop."""

import marshal
import os
import selectors
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

from batchpool.children.channel import (
    BadFrame,
    ChannelReader,
    Frame,
    FrameKind,
    listen,
    to_outcomes,
)
from batchpool.errors import EngineError
from batchpool.execution.item_output import item_logs
from batchpool.execution.outbox import OutboxView, outbox_path
from batchpool.model import ExecutionSite, Outcome

DEATH = None
_RUBBISH = (BadFrame, ValueError, TypeError, EOFError, struct.error, OverflowError, LookupError)
"""Errors of reading bytes that no child of ours sent as a frame."""


@dataclass(eq=False)
class ChildHandle:
    """One child as its parent sees it."""

    pid: int
    process: BaseProcess | None = None
    site: ExecutionSite | None = None
    outbox: OutboxView | None = None
    has_leaked: bool = False
    killed_index: int | None = None
    """The item for whose time limit we killed it."""
    killed_started_ns: int = 0
    """When the attempt that was killed had begun."""
    was_stopped: bool = False
    """Whether we ended it because a signal had stopped it."""
    is_cleared_away: bool = False
    """Whether we ended it because its pool was broken."""
    reader: ChannelReader | None = field(default=None, repr=False)
    _logged_ns: int = 0

    @property
    def running(self) -> tuple[int, int] | None:
        """What it runs now, as (index, started_ns)."""
        return None if self.outbox is None else self.outbox.running()

    def unsent(self) -> list[Outcome]:
        """Outcomes in its outbox; they may come a second time."""
        if self.outbox is None or self.site is None:
            return []
        return to_outcomes(self.outbox.unsent(), self.site, self.add_log)

    def keep_running_log(self) -> None:
        """Keep what the item that runs, or ran when the child died, has printed."""
        if self.outbox is not None and (running := self.outbox.running()):
            index, started_ns = running
            if log := self.outbox.log(started_ns):
                self.add_log(index, started_ns, log)

    def add_log(self, index: int, started_ns: int, log: str) -> None:
        """Keep the log of an item, whose record may come twice, until its record is written."""
        if started_ns > self._logged_ns:
            self._logged_ns = started_ns
            item_logs.append(index, started_ns, log)


class Event(NamedTuple):
    """What a child did: sent a frame, or died (no frame)."""

    child: ChildHandle
    frame: Frame | None
    outcomes: list[Outcome]


class ChildMonitor:
    """Listens to the children of one pool or batch.

    Promises: what a child sent or left in its outbox comes before its exit. `poll`
    never blocks for longer than it is told to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.children: list[ChildHandle] = []
        self._listener = listen(path)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._listener)

    def watch(self, process: BaseProcess) -> ChildHandle:
        """Notice the exit of a process that was started; call it before the process is joined."""
        assert process.pid is not None
        child = self._find(process.pid)
        child.process = process
        self._selector.register(_exit_descriptor(process), selectors.EVENT_READ, child)
        return child

    def poll(self, timeout_s: float) -> Iterator[Event]:
        """Yield events; wait up to `timeout_s` if there are none."""
        self._check_overdue()
        for key, _ in self._selector.select(timeout_s):
            if key.data is self._listener:
                self._accept()
            elif isinstance(key.data, ChannelReader):
                yield from self._read(key.data)
            else:
                yield from self._on_exit(key.data, key.fileobj)

    def _check_overdue(self) -> None:
        for child in self.children:
            if child.reader is not None and child.reader.is_overdue:
                self._cut_off(child.reader, "began a frame and did not end it")

    def close(self) -> None:
        """Forget all children and remove the socket."""
        for child in self.children:
            self._forget(child)
        self.children.clear()
        for key in list(self._selector.get_map().values()):
            self._unregister(key.fileobj)
        self._selector.close()
        self._listener.close()
        self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return
            self._selector.register(connection, selectors.EVENT_READ, ChannelReader(connection))

    def _read(self, reader: ChannelReader) -> Iterator[Event]:
        if reader.socket.fileno() < 0:
            return
        try:
            for frame in reader.frames():
                if frame.kind is FrameKind.HELLO:
                    self._on_hello(reader, frame)
                else:
                    yield self._event(self._child_of(reader), frame)
        except _RUBBISH as error:
            self._cut_off(reader, f"sent rubbish: {error!r}")
        else:
            if reader.at_end:
                # Dead, or a task that closed all files has cut its connection.
                self._cut_off(reader, "closed its connection")

    def _child_of(self, reader: ChannelReader) -> ChildHandle:
        for child in self.children:
            if child.reader is reader:
                return child
        raise BadFrame("no hello")

    def _cut_off(self, reader: ChannelReader, why: str) -> None:
        """Forget a connection and kill its child: what it runs is a suspect as in any death."""
        self._unregister(reader.socket)
        for child in self.children:
            if child.reader is reader and child.process is not None:
                child.process.kill()
            elif child.reader is reader and not reader.at_end:
                raise EngineError(f"an interpreter {why}")

    def _on_hello(self, reader: ChannelReader, frame: Frame) -> None:
        # Data only; a task that sends it ends its own child at worst.
        site = ExecutionSite(*marshal.loads(frame.data))  # noqa: S302
        child = self._find(site.pid, site.interpreter)
        if child.reader is not None:
            raise BadFrame("a second hello")
        child.site = site
        child.outbox = OutboxView(outbox_path(self.path.parent, site.pid, site.interpreter))
        child.reader = reader

    def _event(self, child: ChildHandle, frame: Frame) -> Event:
        assert child.site is not None
        has_rows = frame.kind in (FrameKind.ROWS, FrameKind.CHUNK)
        child.has_leaked = child.has_leaked or frame.kind is FrameKind.LEAKED
        outcomes = to_outcomes(frame.data, child.site, child.add_log) if has_rows else []
        return Event(child, frame, outcomes)

    def _on_exit(self, child: ChildHandle, descriptor: object) -> Iterator[Event]:
        self._unregister(descriptor)
        if child.reader is None:
            # It may have sent its hello just before it died.
            self._accept()
            for key in list(self._selector.get_map().values()):
                if isinstance(key.data, ChannelReader):
                    yield from self._read(key.data)
        elif not child.reader.at_end:
            yield from self._read(child.reader)
        yield Event(child, DEATH, child.unsent())
        self._forget(child)
        self.children.remove(child)

    def _forget(self, child: ChildHandle) -> None:
        if child.outbox is not None:
            child.outbox.close()
            child.outbox = None
        # It may have died between making it and naming it to us.
        outbox_path(self.path.parent, child.pid).unlink(missing_ok=True)
        if child.reader is not None and child.reader.socket.fileno() >= 0:
            self._unregister(child.reader.socket)

    def _find(self, pid: int, interpreter: int = 0) -> ChildHandle:
        for child in self.children:
            if child.pid == pid and (child.site is None or child.site.interpreter == interpreter):
                return child
        child = ChildHandle(pid)
        self.children.append(child)
        return child

    def _unregister(self, file: object) -> None:
        if file is self._listener:
            return
        self._selector.unregister(file)  # type: ignore[arg-type]
        if isinstance(file, socket.socket):
            file.close()
        elif isinstance(file, int):
            os.close(file)


def _exit_descriptor(process: BaseProcess) -> int:
    # Not the sentinel where there is better: a process that the task forked holds its other end
    # open, and only its exit would be noticed.
    assert process.pid is not None
    if hasattr(os, "pidfd_open"):
        try:
            return os.pidfd_open(process.pid)
        except ProcessLookupError:
            pass
    return os.dup(process.sentinel)

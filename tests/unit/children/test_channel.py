"""Frames come whole or not at all."""

import socket
from pathlib import Path

import pytest

from batchpool.children.channel import (
    STARTED_FRAME_S,
    BadFrame,
    ChannelReader,
    ChannelWriter,
    Frame,
    FrameKind,
    listen,
    to_outcomes,
    to_record,
)
from batchpool.execution.item_output import begin_batch, item_logs
from batchpool.execution.outbox import pack_record
from batchpool.model import ExecutionSite, Outcome, TaskError

LANE = ExecutionSite(1, 2, 3, "MainThread", 0)


def connect(path: Path) -> tuple[ChannelWriter, ChannelReader, socket.socket]:
    listener = listen(path)
    link = ChannelWriter(path)
    return link, ChannelReader(listener.accept()[0]), listener


@pytest.mark.parametrize("depth", [0, 30])
def test_frames_arrive_in_order_whatever_the_path_is_long(tmp_path: Path, depth: int) -> None:
    folder = tmp_path.joinpath(*["deeper"] * depth)
    folder.mkdir(parents=True, exist_ok=True)
    link, inbox, listener = connect(folder / "socket")
    link.send(FrameKind.HELLO, 0, b"x")
    link.send(FrameKind.CHUNK, 7)
    assert list(inbox.frames()) == [Frame(FrameKind.HELLO, 0, b"x"), Frame(FrameKind.CHUNK, 7, b"")]
    assert list(inbox.frames()) == []
    assert not inbox.at_end
    for end in (link._socket, inbox.socket, listener):
        end.close()


def test_a_torn_frame_is_dropped(tmp_path: Path) -> None:
    link, inbox, listener = connect(tmp_path / "socket")
    link.send(FrameKind.ROWS, 1, b"whole")
    link._socket.sendall(b"\x00\x01\x00\x00\x02")
    link._socket.close()
    assert [frame.data for frame in inbox.frames()] == [b"whole"]
    assert list(inbox.frames()) == []
    assert inbox.at_end
    inbox.socket.close()
    listener.close()


def test_a_large_frame_is_put_together(tmp_path: Path) -> None:
    link, inbox, listener = connect(tmp_path / "socket")
    data = bytes(range(256)) * 300
    link.send(FrameKind.ROWS, 1, data)
    frames: list[Frame] = []
    while not frames:
        frames += inbox.frames()
    assert frames[0].data == data
    for end in (link._socket, inbox.socket, listener):
        end.close()


def test_outcomes_come_back_as_they_were() -> None:
    error = TaskError(type="E", message="m", traceback=None)
    given = [
        Outcome(3, "succeeded", {"a": [1, None]}, None, LANE, 5, 6, 7, 1.5),
        Outcome(4, "failed", None, error, LANE, 5, 6, 7),
    ]
    data = b"".join(pack_record(to_record(outcome)) for outcome in given)
    assert to_outcomes(data, LANE, lambda *log: None) == given


def test_a_record_brings_the_log_of_its_item(tmp_path: Path) -> None:
    begin_batch("", is_kept=True)
    item_logs.append(3, 5, "printed\n")
    item_logs.append(9, 5, "of another item")
    given = [Outcome(index, "succeeded", 1, None, LANE, 5, 6, 7) for index in (3, 4)]
    data = b"".join(pack_record(to_record(outcome)) for outcome in given)
    logs: list[tuple[int, int, str]] = []
    assert to_outcomes(data, LANE, lambda *log: logs.append(log)) == given
    assert logs == [(3, 5, "printed\n")]
    assert list(item_logs.waiting) == [9]
    begin_batch("", is_kept=False)


@pytest.mark.parametrize(
    "data", [b"\xff" * 12, (1 << 25).to_bytes(4, "little") + b"\2\0\0\0\0\0\0\0", b"\0" * 12]
)
def test_other_bytes_are_no_frames(tmp_path: Path, data: bytes) -> None:
    link, inbox, listener = connect(tmp_path / "socket")
    link.send(FrameKind.ROWS, 1, b"whole")
    link._socket.sendall(data)
    frames = inbox.frames()
    assert next(frames).data == b"whole"
    with pytest.raises(BadFrame):
        next(frames)
    for end in (link._socket, inbox.socket, listener):
        end.close()


def test_a_started_frame_is_overdue_after_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, inbox, listener = connect(tmp_path / "socket")
    link._socket.sendall(b"\1\0\0")
    assert list(inbox.frames()) == [] and not inbox.is_overdue
    begun_s = inbox._begun_s
    monkeypatch.setattr("batchpool.children.channel.monotonic", lambda: begun_s + STARTED_FRAME_S)
    assert not inbox.is_overdue
    monkeypatch.setattr("batchpool.children.channel.monotonic", lambda: begun_s + 5.1)
    assert inbox.is_overdue
    for end in (link._socket, inbox.socket, listener):
        end.close()
    assert not inbox.is_overdue

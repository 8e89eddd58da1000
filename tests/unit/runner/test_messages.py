"""A worker reads whole messages of its runner, and nothing else."""

import os
import struct
from collections.abc import Iterator
from multiprocessing.connection import Connection, Pipe
from typing import Any

import pytest

from batchpool.ledger.values.announcements import IdlePool
from batchpool.runner import messages
from batchpool.runner.messages import BadMessage, MessageReader, decode, encode
from batchpool.runner.protocol import Ready, RunnerReply

SENT = [
    RunnerReply("ended", "é", True, False, (IdlePool("fork", 2, (3, 4)), IdlePool(None, 1))),
    Ready(7, "digest"),
]


@pytest.fixture
def ends() -> Iterator[tuple["Connection[Any, Any]", MessageReader]]:
    theirs, ours = Pipe()
    with theirs, ours:
        yield theirs, MessageReader(ours.fileno())


def test_messages_come_as_they_were_sent(ends: tuple[Any, MessageReader]) -> None:
    writer, reader = ends
    for message in SENT:
        writer.send_bytes(encode(message))
    assert reader.has_data
    assert [reader.read(5) for _ in SENT] == SENT
    assert reader.read(0) is None and not reader.has_data
    writer.close()
    with pytest.raises(EOFError):
        reader.read(5)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"[]", b"{}", b"null", b"\xff", b"[" * 10**6, b'{"reply": {}}', b'{"other": {}}'),
        b'{"reply": {"kind": "unknown"}}',
        b'{"reply": {"kind": "ended", "detail": 3}}',
        b'{"reply": {"kind": "ended", "idle_pools": [3]}}',
        b'{"ready": {"pid": "1", "fingerprint": ""}}',
    ],
)
def test_other_data_is_no_message(data: bytes) -> None:
    with pytest.raises(BadMessage):
        decode(data)


@pytest.mark.parametrize("size", [-1, 0, messages.MOST_BYTES + 1])
def test_a_frame_has_a_limited_size(ends: tuple[Any, MessageReader], size: int) -> None:
    writer, reader = ends
    os.write(writer.fileno(), struct.pack("!i", size))
    with pytest.raises(BadMessage, match=str(size)):
        reader.read(5)


def test_a_frame_that_has_begun_has_a_limited_time(
    ends: tuple[Any, MessageReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, reader = ends
    monkeypatch.setattr(messages, "STARTED_FRAME_S", 0.05)
    os.write(writer.fileno(), struct.pack("!i", 100) + b"part")
    with pytest.raises(BadMessage, match="not whole"):
        while reader.read(0.01) is None:
            pass

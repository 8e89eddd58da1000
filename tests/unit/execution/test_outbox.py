"""What a child leaves on its outbox can be read by its supervisor, whenever the child dies."""

from pathlib import Path

from batchpool.execution.outbox import Outbox, OutboxView, pack_record, read_outbox, split_records


def test_records_are_there_as_soon_as_they_are_put(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "1.outbox")
    view = OutboxView(tmp_path / "1.outbox")
    assert view.unsent() == b""
    assert outbox.put(b"one")
    assert outbox.put(b"")
    assert outbox.put(b"three")
    assert [bytes(r) for r in split_records(view.unsent())] == [b"one", b"", b"three"]
    assert view.unsent() == b"", "what was read once is not read again"
    assert outbox.unsent() == pack_record(b"one") + pack_record(b"") + pack_record(b"three")
    outbox.clear()
    assert view.unsent() == b""
    assert outbox.put(b"four")
    assert [bytes(r) for r in split_records(view.unsent())] == [b"four"]
    view.close()
    assert not (tmp_path / "1.outbox").exists()


def test_a_full_desk_says_so_and_keeps_what_it_has(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "1.outbox")
    assert not outbox.put(bytes(1 << 16))
    count = 0
    while outbox.put(bytes(1000)):
        count += 1
    assert count == 65
    assert len(list(split_records(outbox.unsent()))) == count


def test_the_running_item_is_seen_until_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "1.outbox"
    outbox = Outbox(path)
    view = OutboxView(path)
    assert view.running() is None
    outbox.words[0], outbox.words[1] = 123, 7 + 1
    assert view.running() == (7, 123)
    assert read_outbox(path) == (7, 123)
    outbox.words[1] = 0
    assert view.running() is None
    assert read_outbox(path) is None
    view.revoke(5)
    assert outbox.words[2] == 5


def test_a_desk_that_is_not_there_ran_nothing(tmp_path: Path) -> None:
    assert read_outbox(tmp_path / "no.outbox") is None
    (tmp_path / "short.outbox").write_bytes(b"x")
    assert read_outbox(tmp_path / "short.outbox") is None

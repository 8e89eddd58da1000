"""What a child leaves on its desk can be read by its supervisor, whenever the child dies."""

from pathlib import Path

from batchpool.execution.outbox import Outbox, OutboxView, pack_record, read_outbox, split_records


def test_records_are_there_as_soon_as_they_are_put(tmp_path: Path) -> None:
    desk = Outbox(tmp_path / "1.desk")
    view = OutboxView(tmp_path / "1.desk")
    assert view.unsent() == b""
    assert desk.put(b"one")
    assert desk.put(b"")
    assert desk.put(b"three")
    assert [bytes(r) for r in split_records(view.unsent())] == [b"one", b"", b"three"]
    assert view.unsent() == b"", "what was read once is not read again"
    assert desk.unsent() == pack_record(b"one") + pack_record(b"") + pack_record(b"three")
    desk.clear()
    assert view.unsent() == b""
    assert desk.put(b"four")
    assert [bytes(r) for r in split_records(view.unsent())] == [b"four"]
    view.close()
    assert not (tmp_path / "1.desk").exists()


def test_a_full_desk_says_so_and_keeps_what_it_has(tmp_path: Path) -> None:
    desk = Outbox(tmp_path / "1.desk")
    assert not desk.put(bytes(1 << 16))
    count = 0
    while desk.put(bytes(1000)):
        count += 1
    assert count == 65
    assert len(list(split_records(desk.unsent()))) == count


def test_the_running_item_is_seen_until_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "1.desk"
    desk = Outbox(path)
    view = OutboxView(path)
    assert view.running() is None
    desk.words[0], desk.words[1] = 123, 7 + 1
    assert view.running() == (7, 123)
    assert read_outbox(path) == (7, 123)
    desk.words[1] = 0
    assert view.running() is None
    assert read_outbox(path) is None
    view.revoke(5)
    assert desk.words[2] == 5


def test_a_desk_that_is_not_there_ran_nothing(tmp_path: Path) -> None:
    assert read_outbox(tmp_path / "no.desk") is None
    (tmp_path / "short.desk").write_bytes(b"x")
    assert read_outbox(tmp_path / "short.desk") is None

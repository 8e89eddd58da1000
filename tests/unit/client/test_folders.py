"""A data folder has one owner, and what a killed one left is removed."""

import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchpool.client.errors import StackFailed
from batchpool.stack.folders import DataFolder


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path leaves room for sockets."""
    with tempfile.TemporaryDirectory(prefix="d-") as name:
        yield Path(name)


def test_a_data_folder_has_one_owner_at_a_time(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with DataFolder(data):
        with pytest.raises(StackFailed, match=r"in use by another batchpool \(PID \d+\)"):
            DataFolder(data).__enter__()
    with DataFolder(data):
        pass


def test_a_data_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackFailed, match=r"data folder .* cannot be used"):
        DataFolder(tmp_path / "file" / "data").__enter__()


def test_a_relative_path_is_meant_from_here(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(short)
    with DataFolder(Path("data")) as folder:
        assert folder.socket == short / "data" / "run" / "redis.sock"
        assert folder.redis.is_absolute()


def test_what_holds_jobs_is_private_and_a_given_folder_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with DataFolder(tmp_path) as folder:
        assert stat.S_IMODE(folder.redis.stat().st_mode) == 0o700
        assert stat.S_IMODE(folder.run.stat().st_mode) == 0o700
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_killed_stack_leaves_its_rubbish_to_the_next(short: Path) -> None:
    (short / "run").mkdir()
    (short / "run" / "redis.sock").write_text("stale")
    with DataFolder(short) as folder:
        assert folder.run == short / "run"
        assert list(folder.run.iterdir()) == []
    assert not (short / "run").exists()


@pytest.mark.parametrize("name", ["x" * 100, "my data", "a=b", "ä"])
def test_a_path_that_cannot_hold_a_socket_gets_another_for_it(short: Path, name: str) -> None:
    with DataFolder(short / name) as folder:
        assert folder.redis == short / name / "redis"
        assert len(str(folder.socket)) < 60
        assert not folder.socket.is_relative_to(short)
        run = folder.run
    assert not run.exists()

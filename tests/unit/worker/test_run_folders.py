"""Which run folders a starting worker sweeps: those whose worker is gone, and no others."""

import fcntl
import os
import tempfile
from pathlib import Path

import pytest

from batchpool.worker.runner_process import YOUNG_S, remove_stale_folders


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run, as its worker makes it, with a lock that nobody holds yet."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = tmp_path / "batchpool-run-test"
    made.mkdir()
    (made / "lock").touch()
    return made


def _age(folder: Path) -> None:
    then = (folder / "lock").stat().st_mtime - YOUNG_S - 1
    os.utime(folder / "lock", (then, then))


def test_a_folder_that_is_about_to_be_locked_is_left(folder: Path) -> None:
    remove_stale_folders()
    assert folder.exists()


def test_an_old_folder_that_nobody_holds_is_removed(folder: Path) -> None:
    _age(folder)
    remove_stale_folders()
    assert not folder.exists()


def test_an_old_folder_whose_worker_lives_is_left(folder: Path) -> None:
    _age(folder)
    with open(folder / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove_stale_folders()
        assert folder.exists()

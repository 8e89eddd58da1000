"""Which run folders a starting worker sweeps: those whose worker is gone, and no others."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchpool.system.cpython_internals import multiprocessing_config
from batchpool.system.semaphores import name_semaphores
from batchpool.worker.runner_process import YOUNG_S, remove_stale_folders


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a run, as its worker makes it, with a lock that nobody holds yet."""
    # Not tmp_path, whose name is too long to hold sockets.
    with tempfile.TemporaryDirectory(prefix="r-") as root:
        monkeypatch.setattr(tempfile, "tempdir", root)
        made = Path(root) / "batchpool-run-test"
        made.mkdir()
        (made / "lock").touch()
        yield made


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


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="semaphores are no files here")
def test_its_semaphores_go_with_it(folder: Path) -> None:
    # Their resource tracker was killed together with the worker.
    before = dict(multiprocessing_config())
    name_semaphores(folder)
    name = multiprocessing_config()["semprefix"] + "-left"
    left = Path(f"/dev/shm/sem.{name.removeprefix('/')}")
    multiprocessing_config().update(before)
    left.touch()
    _age(folder)
    remove_stale_folders()
    assert not left.exists()


def test_an_old_folder_whose_worker_lives_is_left(folder: Path) -> None:
    _age(folder)
    with open(folder / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove_stale_folders()
        assert folder.exists()

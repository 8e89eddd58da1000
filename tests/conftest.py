"""What holds for every test: it leaves no process, thread, file or semaphore behind.

Several test processes may run at once (pytest-xdist): each has a temp folder and a Redis of its
own, inherits the orphans of its own tests, and looks for leftovers among these only.
"""

import os
import random
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from batchpool.system.process_control import become_subreaper
from batchpool.system.process_tree import children_of, is_alive

_GRACE_S = float(os.environ.get("BATCHPOOL_TEST_GRACE_S", "10"))
_LONGEST_FIRST = ("compose", "browser", "faults", "integration", "test_leftovers.py", "contract")
_ONE_OF_ALL = ("tests/compose/", "tests/browser/")
_SHARING_NOTHING = (
    "tests/faults/",
    "tests/contract/",
)
_SHARED_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 2 << 30
SEED = "BATCHPOOL_TEST_SEED"


def pytest_configure(config: pytest.Config) -> None:
    """Give the test process a temp folder and a seed, and have it inherit orphans."""
    # In the environment, so that all processes of a parallel run have the same one.
    is_small = "not full" in config.option.markexpr
    os.environ.setdefault(SEED, "1" if is_small else str(random.randrange(10**6)))
    config.option.hypothesis_seed = os.environ[SEED]
    settings.register_profile("small", max_examples=30, deadline=None)
    settings.register_profile("full", max_examples=300, deadline=None)
    settings.load_profile("small" if is_small else "full")
    folder = tempfile.mkdtemp(prefix="bpt-", dir=_temp_root())
    config.stash[_FOLDER] = (folder, os.environ.get("TMPDIR"))
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    become_subreaper()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A run in the background of a shell, which would hand that on to all that tests start.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header(config: pytest.Config) -> str:
    """Say how the random choices of this run are made again."""
    del config
    return f"seed: {SEED}={os.environ[SEED]}"


class _Schedule(LoadScopeScheduling):
    """What shares fixtures runs in one process: a file, all with containers, all with a browser."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.startswith(_ONE_OF_ALL):
            return file.split("/")[1]
        return nodeid if file.startswith(_SHARING_NOTHING) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Schedule:
    # Not --dist=loadgroup: pytest-xdist 3.8 hands on no marks of groups under pytest 9.2.
    return _Schedule(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have a parallel run begin with what takes longest."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: [folder not in item.path.parts for folder in _LONGEST_FIRST])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the temp folder of the test process."""
    folder, before = config.stash[_FOLDER]
    if before is None:
        os.environ.pop("TMPDIR", None)
    else:
        os.environ["TMPDIR"] = before
    tempfile.tempdir = None
    shutil.rmtree(folder, ignore_errors=True)


def _temp_root() -> Path:
    """The place of temp folders: in memory if there is room, as each Redis syncs every write.

    What a disk does with that is not tested: `tests/faults` cuts files back to the last sync.
    """
    is_roomy = _SHARED_MEMORY.is_dir() and shutil.disk_usage(_SHARED_MEMORY).free > _ROOM_BYTES
    return _SHARED_MEMORY if is_roomy else Path("/tmp")


_FOLDER: pytest.StashKey[tuple[str, str | None]] = pytest.StashKey()


@pytest.fixture
def seed() -> int:
    """What a test seeds its random choices with; the header of the run says it."""
    return int(os.environ[SEED])


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Fail a test that leaves something behind some seconds after its end.

    What fixtures of a wider scope had running before the test may have changed in it:
    processes below them, and their files, are their own affair. Semaphores are the machine's:
    one that is left fails whatever test ends beside it, too.
    """
    processes, threads = _children(), set(threading.enumerate())
    files, semaphores = _temp_files(), _semaphores()
    yield
    checks: list[tuple[str, Callable[[], set[object]]]] = [
        ("processes", lambda: {_describe(pid) for pid in _children() - processes if is_alive(pid)}),
        ("threads", lambda: {t.name for t in set(threading.enumerate()) - threads}),
    ]
    if not processes:
        checks.append(("temp files", lambda: set(_temp_files() - files)))
        checks.append(("semaphores", lambda: set(_unused(_semaphores() - semaphores))))
    end = monotonic() + _GRACE_S
    left = {kind: look() for kind, look in checks}
    while any(left.values()):
        if monotonic() > end:
            pytest.fail(f"left behind: { {kind: found for kind, found in left.items() if found} }")
        sleep(0.02)
        # Only what was there each time: a semaphore of another program may be unused for a moment.
        left = {kind: left[kind] & look() for kind, look in checks}


def _children() -> set[int]:
    return set(children_of(os.getpid()))


def _describe(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        command = "?"
    return f"{pid}: {command[:200]}"


def _temp_files() -> set[str]:
    # pytest's own folders stay until the end of the session.
    names = os.listdir(tempfile.gettempdir())
    return {name for name in names if not name.startswith("pytest-of-")}


def _semaphores() -> set[str]:
    if not _SHARED_MEMORY.is_dir():
        return set()
    return {name for name in os.listdir(_SHARED_MEMORY) if name.startswith("sem.bp")}


def _unused(semaphores: set[str]) -> set[str]:
    """Those that no process holds: the others belong to programs beside this one."""
    if not semaphores:
        return semaphores
    held = ""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            held += Path(f"/proc/{pid}/maps").read_text()
        except OSError:
            continue
    return {name for name in semaphores if name not in held}

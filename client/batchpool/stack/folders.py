"""Data folder of a local stack with its lock; run folder with a short path."""

import fcntl
import os
import re
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from batchpool.client.errors import StackFailed

# A socket's path has room for 104 bytes on macOS, 108 on Linux. Below the TMPDIR of the processes a
# worker makes a folder, multiprocessing one in that, and puts its sockets there: some 55 more.
_LONGEST_RUN_DIR = 47
_PLAIN = re.compile(r"[\w./+,@~-]+", re.ASCII)


class DataFolder:
    """A data folder, locked by one stack while this object is open.

    Two Redis servers on one append-only file would destroy it, so the folder is locked. In it are
    `redis` for that file, and `run` for the socket and the processes' temporary files: a stack that
    is killed leaves its rubbish where the next one finds and removes it.
    """

    def __init__(self, data: Path) -> None:
        # Redis changes into its folder: its configuration must not depend on our working directory.
        self.data = data.absolute()
        self.redis = self.data / "redis"
        self.run = self.data / "run"
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            try:
                self._open(cleanup)
            except OSError as error:
                raise StackFailed(f"the data folder {self.data} cannot be used: {error}") from None
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()

    def _open(self, cleanup: ExitStack) -> None:
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock(cleanup)
        self.redis.mkdir(mode=0o700, exist_ok=True)
        if not _can_hold_sockets(self.run, _LONGEST_RUN_DIR):
            self.run = make_run_dir(cleanup)
            return
        shutil.rmtree(self.run, ignore_errors=True)
        self.run.mkdir(mode=0o700)
        cleanup.callback(shutil.rmtree, self.run, ignore_errors=True)

    def _lock(self, cleanup: ExitStack) -> None:
        lock = cleanup.enter_context((self.data / "lock").open("a+", encoding="ascii"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise StackFailed(
                f"the data folder {self.data} is in use by another batchpool (PID {holder}); "
                "end that one, or give another folder with --data DIR"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()

    @property
    def socket(self) -> Path:
        """Unix socket of the folder's Redis."""
        return self.run / "redis.sock"

    @property
    def url(self) -> str:
        """The URL of the folder's Redis."""
        return f"unix://{quote(str(self.socket))}"


def make_run_dir(cleanup: ExitStack) -> Path:
    """Make a folder with a short path for files that are needed only while the stack runs."""
    parent = tempfile.gettempdir()
    if not _can_hold_sockets(Path(parent), _LONGEST_RUN_DIR - len("/batchpool-12345678")):
        parent = "/tmp"  # noqa: S108  mkdtemp makes a private folder in it
    folder = Path(tempfile.mkdtemp(prefix="batchpool-", dir=parent))
    cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _can_hold_sockets(folder: Path, longest: int) -> bool:
    # redis-py, and so RQ's worker, splits CLIENT INFO at spaces and "="; the path stands in it.
    return len(os.fsencode(folder)) <= longest and _PLAIN.fullmatch(str(folder)) is not None

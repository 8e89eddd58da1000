"""Where the surplus children of a pool wait while a batch uses fewer: for the lock of a file.

The kernel lets go of the lock when its holder dies, whatever way, so nobody waits for ever.
"""

import contextlib
import fcntl
import itertools
from pathlib import Path
from typing import BinaryIO


class Parking:
    """The supervisor's side: who comes while it is open waits until it is closed.

    Each time it has another file, so that who comes too late does not wait with the next ones.
    """

    def __init__(self, path: Path) -> None:
        self._base = path
        self._numbers = itertools.count()
        self._path = path
        self._file: BinaryIO | None = None

    @property
    def is_open(self) -> bool:
        return self._file is not None

    def open(self) -> Path:
        """Lock a new file; its path."""
        self._path = self._base.with_name(f"{self._base.name}-{next(self._numbers)}")
        self._file = open(self._path, "wb")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return self._path

    def close(self) -> None:
        """Let everybody go on; who comes later does not wait."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            # Not by closing alone: what was forked meanwhile has the same open file.
            fcntl.flock(self._file, fcntl.LOCK_UN)
            self._file.close()
            self._file = None


def wait_while_locked(path: Path) -> None:
    """Return when nobody holds the lock, or when the file is not there."""
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)

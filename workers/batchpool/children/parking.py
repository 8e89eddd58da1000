"""Keep the surplus children of a pool idle, while a batch uses fewer, on the lock of a file.

The kernel releases the lock when its holder dies, so no child waits for ever.
"""

import contextlib
import fcntl
import itertools
from pathlib import Path
from typing import BinaryIO


class Parking:
    """Parent's side: children that call `wait_while_locked` while it is open block until it closes.

    Each opening has a file of its own, so that a late child does not wait for the next one.
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
        """Lock a new file; returns its path."""
        self._path = self._base.with_name(f"{self._base.name}-{next(self._numbers)}")
        self._file = open(self._path, "wb")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return self._path

    def close(self) -> None:
        """Release all waiting children; later ones do not wait."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            # Not by closing alone: what was forked meanwhile has the same open file.
            fcntl.flock(self._file, fcntl.LOCK_UN)
            self._file.close()
            self._file = None


def wait_while_locked(path: Path) -> None:
    """Return when the lock is free, or the file does not exist."""
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)

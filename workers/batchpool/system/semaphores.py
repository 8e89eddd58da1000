"""Named semaphores of multiprocessing: name them by owner, and remove them."""

import os
import zlib
from pathlib import Path

from batchpool.system.cpython_internals import multiprocessing_config


def name_semaphores(folder: Path | None) -> None:
    """Name the semaphores of this process and its children after a folder; None: the default."""
    prefix = "mp" if folder is None else _semaphore_prefix(folder)
    multiprocessing_config()["semprefix"] = f"/{prefix}"


def remove_semaphores(folder: Path) -> None:
    """Remove the semaphores named after a folder whose processes are all dead (Linux only).

    Their resource tracker does so too, unless it was killed as well.
    """
    for path in Path("/dev/shm").glob(f"sem.{_semaphore_prefix(folder)}-*"):  # noqa: S108
        path.unlink(missing_ok=True)


def _semaphore_prefix(folder: Path) -> str:
    # Short: macOS allows 30 characters in all.
    return f"bp{zlib.crc32(os.fsencode(folder.resolve())):08x}"

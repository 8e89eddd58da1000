"""Named semaphores of multiprocessing: whose they are, and their removal."""

import multiprocessing
import os
import zlib
from pathlib import Path


def name_semaphores(folder: Path | None) -> None:
    """Name the semaphores of this process and its children after a folder, or as is usual."""
    _config()["semprefix"] = "/mp" if folder is None else f"/{_semaphore_prefix(folder)}"


def remove_semaphores(folder: Path) -> None:
    """Remove the semaphores named after a folder whose processes are all dead (Linux only).

    Their resource tracker does so too, unless it was killed as well.
    """
    for path in Path("/dev/shm").glob(f"sem.{_semaphore_prefix(folder)}-*"):  # noqa: S108
        path.unlink(missing_ok=True)


def _semaphore_prefix(folder: Path) -> str:
    # Short: macOS allows 30 characters in all.
    return f"bp{zlib.crc32(os.fsencode(folder.resolve())):08x}"


def _config() -> dict[str, object]:
    config: dict[str, object] = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    return config

"""Threads that installed packages keep and that do no harm, as the monitor of tqdm's bars."""

import os
import threading
import traceback
from pathlib import Path

from batchpool.system.cpython_internals import frames_of_threads

MOST = 8
"""More of them than packages have: one is left behind by each batch."""
_STANDARD = os.path.dirname(os.__file__)
_INSTALLED = frozenset({"site-packages", "dist-packages"})


class PackageThreads:
    """The idle daemon threads of installed packages in this process, as far as they are known.

    A thread is one if it is a daemon, waits in the standard library, and nothing on its stack is
    of another kind than the standard library and an installed package.
    """

    def __init__(self) -> None:
        self._known: list[threading.Thread] = []

    @property
    def count(self) -> int:
        """How many of those that are known still live."""
        self._known = [thread for thread in self._known if thread.is_alive()]
        return len(self._known)

    def explain(self, left: int) -> list[str]:
        """Know `left` threads more, if that many new ones are of this kind; returns their names.

        Without `left` threads of this kind it returns none and knows no more than before.
        """
        frames = frames_of_threads()
        found = {}
        for thread in threading.enumerate():
            if thread in self._known or not thread.daemon:
                continue
            files = [
                frame.f_code.co_filename
                for frame, _ in traceback.walk_stack(frames.get(thread.ident or 0))
            ]
            if files and (package := _package_that_waits(files)):
                found[thread] = f"thread {thread.name!r} of {package}"
        if len(found) < left or self.count + len(found) > MOST:
            return []
        self._known += found
        return list(found.values())


def _package_that_waits(files: list[str]) -> str | None:
    """The package whose code waits in the standard library; `files` are those of the stack."""
    own = [Path(file).parts for file in files if not _is_standard(file)]
    packages = [_package_of(parts) for parts in own]
    if not packages or not _is_standard(files[0]) or {None, "batchpool"} & set(packages):
        return None
    return packages[-1]


def _is_standard(file: str) -> bool:
    in_folder = file.startswith(_STANDARD) and not _INSTALLED.intersection(Path(file).parts)
    return in_folder or file.startswith("<frozen ")


def _package_of(parts: tuple[str, ...]) -> str | None:
    for place, part in enumerate(parts[:-1]):
        if part in _INSTALLED:
            return parts[place + 1].removesuffix(".py")
    return None

"""Detect changed files: a runner writes their stamps for its children and its worker."""

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

Stamp = tuple[str, int, int]
ALL_FILES = ""
"""The name under which all is noted whose change is a reason to load the tasks again."""
_NAME = "code.stamps"
_MOST_BYTES = 16 << 20


def stamp(path: str) -> Stamp:
    """What changes when the file is written or replaced; of a folder, its place and modules."""
    try:
        status = os.stat(path)
        if os.path.isdir(path):
            names = sorted(name for name in os.listdir(path) if name.endswith(".py"))
            place = os.path.realpath(path)
            return path, zlib.crc32(os.fsencode("/".join((place, *names)))), len(names)
    except OSError:
        return path, 0, -1
    # Not the time of the last write: tools that copy files set that one back.
    return path, status.st_ctime_ns, status.st_size


def write_stamps(folder: Path, files: Mapping[str, Iterable[str]]) -> None:
    """Note the files of each name for the processes that know the folder."""
    stamps = {name: tuple(map(stamp, paths)) for name, paths in files.items()}
    (folder / _NAME).write_text(json.dumps(stamps))


def read_stamps(folder: Path) -> dict[str, list[Stamp]]:
    """The stamps by name; none where none were written.

    Raises:
        ValueError: it is not what `write_stamps` wrote.
    """
    try:
        with open(folder / _NAME, "rb") as file:
            content = file.read(_MOST_BYTES)
    except FileNotFoundError:
        return {}
    stamps: dict[str, list[Stamp]] = json.loads(content)
    return stamps


def is_changed(stamps: Iterable[Stamp]) -> bool:
    """Whether a file is not what it was."""
    return any(stamp(was[0]) != tuple(was) for was in stamps)


def is_changed_since(paths: Iterable[str], time_ns: int) -> bool:
    """Whether a file was written, replaced or removed at `time_ns` of the clock or later."""
    try:
        return any(os.stat(path).st_ctime_ns >= time_ns for path in paths)
    except OSError:
        return True

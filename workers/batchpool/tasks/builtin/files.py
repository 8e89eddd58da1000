"""The task that counts a file's lines, words or bytes, as wc does."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from batchpool.tasks.decorator import task

_BLOCK_BYTES = 1 << 20
_SPACES = {bytes([byte]) for byte in b" \t\n\r\x0b\x0c"} | {b""}
_WIDE_SPACE = re.compile(
    rb"\xc2\xa0|\xe1\x9a\x80|\xe2\x80[\x80-\x8a\xa8\xa9\xaf]|\xe2\x81[\x9f\xa0]|\xe3\x80\x80"
)
"""The spaces of Unicode that wc knows in a UTF-8 locale, no-break ones included."""
_roots: tuple[Path, ...] = ()


class OutsideRoots(ValueError):
    """A path that no root of `BATCHPOOL_FILES_ROOT` contains."""


@dataclass(frozen=True)
class FilesParams:
    """What to count."""

    count: Literal["lines", "words", "bytes"] = "lines"


def split_roots(text: str) -> tuple[str, ...]:
    """The folders that a value of `BATCHPOOL_FILES_ROOT` names."""
    return tuple(part for part in text.split(os.pathsep) if part)


def allow_roots(roots: tuple[str, ...]) -> None:
    """From now on the task reads files below `roots`, and no others."""
    global _roots
    _roots = tuple(Path(root).resolve() for root in roots)


@task("files", params=FilesParams, bound="io")
def files(item: Any, params: FilesParams) -> int:
    """Count the lines, words or bytes of the file that the item names."""
    path = _resolve(item)
    with path.open("rb") as file:
        if params.count == "bytes":
            return os.fstat(file.fileno()).st_size
        if params.count == "lines":
            return sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK_BYTES), b""))
        return _count_words(file)


def _count_words(file: BinaryIO) -> int:
    counted = 0
    in_word = False
    rest = b""
    while data := file.read(_BLOCK_BYTES):
        block = rest + data
        rest = b""
        if not block.isascii():
            block, rest = _cut(block)
            block = _WIDE_SPACE.sub(b" ", block)
        counted += _new_words(block, in_word)
        in_word = block[-1:] not in _SPACES if block else in_word
    return counted + _new_words(rest, in_word)


def _cut(block: bytes) -> tuple[bytes, bytes]:
    # A space of up to three bytes may lie across the border between two blocks.
    for back in (1, 2):
        if block[-back:][:1] >= b"\xc2":
            return block[:-back], block[-back:]
    return block, b""


def _new_words(block: bytes, in_word: bool) -> int:
    # A word that goes on from the block before was counted there.
    goes_on = in_word and block[:1] not in _SPACES
    return len(block.split()) - goes_on


def _resolve(item: Any) -> Path:
    if not isinstance(item, str):
        raise TypeError(f"the item of task 'files' is a path, not {type(item).__name__}")
    if not _roots:
        raise OutsideRoots(
            "this worker reads no files: set BATCHPOOL_FILES_ROOT for it to the folder that holds "
            "them (`batchpool up --files-root DIR`)"
        )
    # resolve() follows every link, so that a link out of the roots is seen as what it is.
    paths = [(root / item).resolve() for root in _roots]
    allowed = [path for path in paths if any(path.is_relative_to(root) for root in _roots)]
    for path in allowed:
        if path.is_file():
            return path
        if path.exists():
            # A FIFO, say: opening it would wait for ever for its writer.
            raise ValueError(f"{item!r} is no regular file")
    if len(allowed) == len(paths):
        raise FileNotFoundError(f"{item!r} does not exist")
    shown = [str(root) for root in _roots]
    raise OutsideRoots(
        f"{item!r} is not in the worker's folders; only files below {shown} can be read"
    )

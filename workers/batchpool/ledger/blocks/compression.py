"""Decompress what others may have written, in bounded memory."""

import zlib


def decompress(block: bytes, most_bytes: int) -> bytes:
    """The bytes of a block.

    Raises:
        ValueError: the block is not compressed, cut off, or holds more than `most_bytes`.
    """
    reader = zlib.decompressobj()
    try:
        found = reader.decompress(block, most_bytes)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not reader.eof:
        raise ValueError(f"the block is cut off, or holds more than {most_bytes} bytes")
    return found

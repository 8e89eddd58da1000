"""The cursor of a stream of records: how far each batch of the job was sent, as opaque text."""

import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from json import dumps, loads

from batchpool.ledger.blocks.compression import decompress
from batchpool.ledger.values.job_entries import BatchEntry

MOST_BYTES = 1 << 20
MOST_POSITION = 1 << 40


def encode_cursor(positions: Sequence[int]) -> str:
    """The cursor that stands for these positions, one for each batch."""
    text = dumps(positions, separators=(",", ":")).encode()
    return urlsafe_b64encode(zlib.compress(text)).rstrip(b"=").decode()


def decode_cursor(cursor: str, batches: Sequence[BatchEntry]) -> list[int]:
    """The positions in the batches of a job, as `WrittenRecords` has them.

    Raises:
        ValueError: no stream of this job has given it.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        positions = loads(decompress(urlsafe_b64decode(padded), MOST_BYTES))
    except (ValueError, RecursionError):
        positions = None
    if not isinstance(positions, list) or not _fits(positions, batches):
        raise ValueError("must be a cursor that a stream of this job gave")
    return positions


def _fits(positions: Sequence[object], batches: Sequence[BatchEntry]) -> bool:
    return len(positions) == len(batches) and all(
        type(position) is int and ~batch.count <= position <= MOST_POSITION
        for position, batch in zip(positions, batches, strict=True)
    )

"""Bitmaps of recorded items: make the segments to set, read the positions that are set."""

from collections.abc import Iterator, Sequence


def bit_segments(positions: Sequence[int], gap_bits: int = 512) -> list[tuple[int, bytes]]:
    """The pieces, as (byte offset, bytes), of a Redis bitmap in which just these bits are set.

    Bit 0 is the highest of byte 0, as SETBIT has it. A gap wider than `gap_bits`, which is more
    than a byte, starts a new piece, so no two pieces share a byte.
    """
    ordered = sorted(positions)
    if ordered and ordered[-1] - ordered[0] == len(ordered) - 1:
        return [_run_of(ordered[0], ordered[-1])]
    pieces: list[tuple[int, bytes]] = []
    current: list[int] = []
    for position in ordered:
        if current and position - current[-1] > gap_bits:
            pieces.append(_piece(current))
            current = []
        current.append(position)
    if current:
        pieces.append(_piece(current))
    return pieces


def _piece(positions: Sequence[int]) -> tuple[int, bytes]:
    offset = positions[0] >> 3
    piece = bytearray((positions[-1] >> 3) - offset + 1)
    for position in positions:
        piece[(position >> 3) - offset] |= 0x80 >> (position & 7)
    return offset, bytes(piece)


def _run_of(first: int, last: int) -> tuple[int, bytes]:
    """The piece that has all bits set from `first` to `last`."""
    offset = first >> 3
    piece = bytearray(b"\xff" * ((last >> 3) - offset + 1))
    piece[0] &= 0xFF >> (first & 7)
    piece[-1] &= 0xFF << (7 - (last & 7)) & 0xFF
    return offset, bytes(piece)


def set_bits(bitmap: bytes) -> Iterator[int]:
    """The positions of the set bits of a Redis bitmap, ascending."""
    for offset, byte in enumerate(bitmap):
        if byte:
            for bit in range(8):
                if byte & (0x80 >> bit):
                    yield offset * 8 + bit

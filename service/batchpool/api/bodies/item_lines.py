"""Read items from a body of NDJSON or CSV: line by line, strictly, in bounded memory."""

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from json import JSONDecodeError
from typing import Any

from batchpool.api.bodies.csv_cells import cell_parser
from batchpool.api.bodies.json_body import StrictParser, too_large
from batchpool.api.problems import MalformedBody
from batchpool.schemas.job_requests import ColumnType

NDJSON = "application/x-ndjson"
CSV = "text/csv"

READ_BYTES = 256 << 10
MAX_LINE_BYTES = 1 << 20
"""Of a line, and of a row of CSV with all its lines."""

_BOM = b"\xef\xbb\xbf"
Read = Callable[[int], bytes]


def read_items(
    read: Read, media_type: str, max_bytes: int, columns: Mapping[str, ColumnType]
) -> Iterator[list[Any]]:
    """The items of a body, in lists of what came together.

    Args:
        read: as that of a file; b"" at the end.
        media_type: `NDJSON` or `CSV`.
        max_bytes: of the items, since those of CSV are larger than their rows.
        columns: the types of columns of CSV that are not text.
    Raises:
        Problem: names the line and what is wrong with it.
    """
    if media_type == CSV:
        return _CsvItems(read, max_bytes, columns).lists()
    return _from_ndjson(read)


def _pieces(read: Read) -> Iterator[tuple[int, list[bytes]]]:
    """Lines without their ends, in lists, each with the number of its first line."""
    number, rest = 1, b""
    while piece := read(READ_BYTES):
        *lines, rest = (rest + piece).split(b"\n")
        # Only the first and the last line may be longer than a piece.
        if lines and len(lines[0]) > MAX_LINE_BYTES:
            raise _too_long(number)
        if len(rest) > MAX_LINE_BYTES:
            raise _too_long(number + len(lines))
        if lines:
            yield number, lines
        number += len(lines)
    if rest:
        yield number, [rest]


def _too_long(number: int) -> MalformedBody:
    return MalformedBody(f"line {number}: must have at most {MAX_LINE_BYTES} bytes")


def _decode(number: int, lines: list[bytes]) -> list[str]:
    try:
        # At once: the end of a line is never inside a character.
        return b"\n".join(lines).decode().split("\n")
    except UnicodeDecodeError:
        return [_decode_line(at, line) for at, line in enumerate(lines, number)]


def _decode_line(number: int, line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise MalformedBody(f"line {number}: not UTF-8 at byte {error.start}") from None


def _from_ndjson(read: Read) -> Iterator[list[Any]]:
    for number, lines in _pieces(read):
        parser = StrictParser(b"\n".join(lines))
        texts = _decode(number, lines)
        try:
            yield parser.parse_all(texts)
        except (ValueError, RecursionError, MalformedBody):
            # Slower: finds the line that is wrong, unless it was a blank one, which has no item.
            numbered = enumerate(texts, number)
            yield [_parse(parser, at, text) for at, text in numbered if text.strip(" \t\r")]


def _parse(parser: StrictParser, number: int, text: str) -> Any:
    try:
        return parser.parse(text)
    except JSONDecodeError as error:
        reason = f"not JSON: {error.msg.removesuffix(' at')} at column {error.colno}"
    except MalformedBody as error:
        reason = error.detail
    raise MalformedBody(f"line {number}: {reason}")


class _CsvItems:
    """Rows as objects by the names in the first row; a cell is text if its column has no type."""

    def __init__(self, read: Read, max_bytes: int, columns: Mapping[str, ColumnType]) -> None:
        csv.field_size_limit(MAX_LINE_BYTES)
        self._typed = {name: cell_parser(kind) for name, kind in columns.items() if kind != "text"}
        self._read = read
        self._max_bytes = max_bytes
        self._rows = csv.reader(self._lines(), strict=True)
        self._row_bytes = 0
        self._number = 1

    def lists(self) -> Iterator[list[Any]]:
        names = self._next_row()
        if names is None:
            return
        self._check_names(names)
        names_bytes, total, at_last_list = self._row_bytes, 0, 0
        items = []
        while (row := self._next_row()) is not None:
            if len(row) != len(names):
                raise self._wrong(f"has {len(row)} columns, the first row {len(names)}")
            items.append(self._item(names, row))
            total += names_bytes + self._row_bytes
            if total > self._max_bytes:
                raise too_large(self._max_bytes, "BATCHPOOL_MAX_UPLOAD_BYTES")
            if total - at_last_list > READ_BYTES:
                yield items
                items, at_last_list = [], total
        yield items

    def _item(self, names: list[str], row: list[str]) -> dict[str, object]:
        item: dict[str, object] = dict(zip(names, row, strict=True))
        for name, parse in self._typed.items():
            try:
                item[name] = parse(str(item[name]))
            except MalformedBody as error:
                raise self._wrong(f"column {name[:80]!r}: {error.detail}") from None
        return item

    def _lines(self) -> Iterator[str]:
        for number, lines in _pieces(self._read):
            if number == 1:
                # Spreadsheets write one.
                lines[0] = lines[0].removeprefix(_BOM)
            for text in _decode(number, lines):
                self._row_bytes += len(text) + 1
                if self._row_bytes > MAX_LINE_BYTES:
                    raise _too_long(self._number)
                yield text + "\n"

    def _next_row(self) -> list[str] | None:
        """The next row that is not blank."""
        while True:
            self._row_bytes, self._number = 0, self._rows.line_num + 1
            try:
                row = next(self._rows, None)
            except csv.Error as error:
                raise self._wrong(f"not CSV: {error}") from None
            if row is None or row:
                return row

    def _check_names(self, names: list[str]) -> None:
        if "" in names:
            raise self._wrong("the first row must name each column")
        ((name, count),) = Counter(names).most_common(1)
        if count > 1:
            raise self._wrong(f"the column {name[:80]!r} is given twice")
        for name in self._typed.keys() - set(names):
            known = ", ".join(names)[:200]
            raise self._wrong(f"there is no column {name[:80]!r}, which has a type; known: {known}")

    def _wrong(self, reason: str) -> MalformedBody:
        return MalformedBody(f"line {self._number}: {reason}")

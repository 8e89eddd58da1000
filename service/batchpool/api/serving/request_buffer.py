"""Find the end of a request in the bytes that arrive, before it takes a thread."""

import re

HEAD_BYTES = 64 << 10
"""Longest request line and headers together, and longest trailers."""

STREAMED_BYTES = 1 << 20
"""An upload of which so much has arrived is read further by its thread."""

_LINE_BYTES = 8190
_FRAMING = re.compile(rb"\r\n(content-length|transfer-encoding)[ \t]*:[ \t]*([^\r\n]*)", re.I)
_EXPECT = re.compile(rb"\r\nexpect[ \t]*:[ \t]*100-continue[ \t]*(?=\r\n)", re.I)
_UPLOAD = re.compile(rb"\r\ncontent-type[ \t]*:[ \t]*(application/x-ndjson|text/csv)\b", re.I)
_LENGTH = re.compile(rb"[0-9]{1,15}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;.*)?", re.S)


class RequestBuffer:
    """The bytes of one request.

    It says where the request ends, nothing else: a request whose end cannot be found counts as
    complete, so that the HTTP parser sees it and refuses it; after such a one the connection
    closes.

    Args:
        max_upload_bytes: of an upload, whose items are read line by line.
    """

    def __init__(self, max_body_bytes: int, max_upload_bytes: int) -> None:
        self._max_body_bytes = max_body_bytes
        self._max_upload_bytes = max_upload_bytes
        self._data = bytearray()
        self._looked_at = 0
        self._chunk_at = 0
        self._chunked_bytes = 0
        self._length: int | None = None
        self._end: int | None = None
        self.head_bytes = 0
        self.has_endless_head = False
        self.is_too_long = False
        self.is_upload = False
        self.wants_continue = False
        self.must_close = False

    def __len__(self) -> int:
        return len(self._data)

    @property
    def is_complete(self) -> bool:
        return self._end is not None

    @property
    def is_ready(self) -> bool:
        """Whether a thread can take it: all of it has arrived, or enough of an upload."""
        return self.is_complete or (self.is_upload and len(self._data) > STREAMED_BYTES)

    @property
    def limit(self) -> tuple[int, str]:
        """The most bytes that the body may have, and the setting that says so."""
        kind = "UPLOAD" if self.is_upload else "BODY"
        return self._max_body_bytes, f"BATCHPOOL_MAX_{kind}_BYTES"

    def feed(self, data: bytes) -> None:
        """Add what has arrived."""
        self._data += data
        if not self.head_bytes:
            self._find_head()
        if self.head_bytes and not self.is_complete:
            if self._length is None:
                self._follow_chunks()
            elif len(self._data) >= self.head_bytes + self._length:
                self._end = self.head_bytes + self._length

    def give_up(self) -> None:
        """Count the request as complete with what there is."""
        self.must_close = True
        self._end = len(self._data)

    def take(self) -> tuple[memoryview, bytes]:
        """The request, and what has arrived of the next one; the buffer is empty then.

        Of an upload that is not complete it is what has arrived.
        """
        # Not copied: each copy of a large body would keep all threads waiting.
        rest = b"" if self._end is None else bytes(self._data[self._end :])
        request = memoryview(self._data)[: self._end]
        self._data = bytearray()
        return request, rest

    def _find_head(self) -> None:
        start = max(0, self._looked_at - 3)
        end = self._data.find(b"\r\n\r\n", start)
        new = self._data[max(0, self._looked_at - 1) : end + 4 if end >= 0 else None]
        self._looked_at = len(self._data)
        if new.count(b"\n") - new.startswith(b"\n") > new.count(b"\r\n"):
            self.give_up()  # Lines that end with a bare LF.
        elif end >= 0:
            self.head_bytes = end + 4
            self._read_framing()
        elif len(self._data) > HEAD_BYTES:
            self.has_endless_head = True
            self.give_up()

    def _read_framing(self) -> None:
        head = bytes(self._data[: self.head_bytes])
        if _EXPECT.search(head):
            # Answered here, since the parser sees the request only once its body has come.
            self.wants_continue = True
            head = _EXPECT.sub(b"", head)
            self._data[: self.head_bytes] = head
            self.head_bytes = len(head)
        self._chunk_at = self.head_bytes
        if _UPLOAD.search(head):
            self.is_upload = True
            self._max_body_bytes = self._max_upload_bytes
        match [(name.lower(), value.strip(b" \t")) for name, value in _FRAMING.findall(head)]:
            case []:
                self._length = 0
            case [(b"content-length", value)] if _LENGTH.fullmatch(value):
                self._length = int(value)
                if self._length > self._max_body_bytes:
                    self.is_too_long = True
                    self.give_up()
            case [(b"transfer-encoding", value)] if value.lower() == b"chunked":
                pass
            case _:
                self.give_up()

    def _follow_chunks(self) -> None:
        while not self.is_complete:
            line_end = self._data.find(b"\r\n", self._chunk_at, self._chunk_at + _LINE_BYTES)
            if line_end < 0:
                if len(self._data) > self._chunk_at + _LINE_BYTES:
                    self.give_up()
                return
            size = _CHUNK_SIZE.fullmatch(self._data, self._chunk_at, line_end)
            if size is None:
                return self.give_up()
            if not (length := int(size[1], 16)):
                return self._find_trailers_end(line_end)
            chunk_end = line_end + 4 + length
            self._check_chunks(chunk_end, length)
            if self.is_complete or len(self._data) < chunk_end:
                return
            if self._data[chunk_end - 2 : chunk_end] != b"\r\n":
                return self.give_up()
            self._chunk_at = chunk_end
            self._chunked_bytes += length

    def _check_chunks(self, chunk_end: int, length: int) -> None:
        body = self._chunked_bytes + length
        # Chunks of a byte or two would cost a hundred times what their bytes do.
        is_wasteful = chunk_end - self.head_bytes > 2 * body + HEAD_BYTES
        if body > self._max_body_bytes or is_wasteful:
            self.is_too_long = body > self._max_body_bytes
            self.give_up()

    def _find_trailers_end(self, line_end: int) -> None:
        end = self._data.find(b"\r\n\r\n", line_end)
        if end >= 0:
            self._end = end + 4
        elif len(self._data) - line_end > HEAD_BYTES:
            self.give_up()

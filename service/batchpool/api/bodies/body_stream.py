"""A body that is read while it arrives."""

import logging
from collections.abc import Callable
from io import BytesIO
from typing import Protocol

from flask import Request

from batchpool.api.bodies.json_body import WHOLE_BODY, check_headers, too_large
from batchpool.api.problems import MalformedBody, Problem

LOG = logging.getLogger("batchpool.api")

SETTING = "BATCHPOOL_MAX_UPLOAD_BYTES"


LATE_BODY = "batchpool.late_body"
"""In the WSGI environment: the `LateBody` of a body that has not arrived whole."""


class NotWanted(Exception):
    """Nobody waits for the rest of a body any more."""


class LateBody(Protocol):
    """What waits for the rest of a body; raises `NotWanted` once that is so."""

    is_wanted: Callable[[], bool]


class BodyStream:
    """Reads a body in pieces, up to its end or a limit.

    Args:
        read: as that of a file.
        length: of the whole body, if it is known.
        late: waits for the client; None for a body that has arrived.
    """

    def __init__(
        self,
        read: Callable[[int], bytes],
        length: int | None,
        max_bytes: int,
        late: LateBody | None = None,
    ) -> None:
        self._read = read
        self._length = length
        self._max_bytes = max_bytes
        self._count = 0
        self.late = late

    @classmethod
    def of(cls, request: Request, max_bytes: int) -> "BodyStream":
        """The body of a request.

        Raises:
            Problem: 413 or 415.
        """
        check_headers(request, max_bytes, SETTING)
        whole = request.environ.get(WHOLE_BODY)
        read = request.environ["wsgi.input"].read if whole is None else BytesIO(whole).read
        return cls(read, request.content_length, max_bytes, request.environ.get(LATE_BODY))

    def read(self, size: int) -> bytes:
        """The next bytes; none at the end.

        Raises:
            Problem: 400 when it is cut off, 408 when it comes too slowly, 413 when it is too long.
            NotWanted: `late` says so.
        """
        try:
            found = self._read(size)
        except (Problem, NotWanted):
            raise
        except Exception as error:
            # The parser of the HTTP server raises exceptions of its own for malformed chunks.
            LOG.info("unreadable body: %r", error)
            raise MalformedBody("the body is badly chunked, or incomplete") from None
        self._count += len(found)
        if self._count > self._max_bytes:
            raise too_large(self._max_bytes, SETTING)
        if not found and self._length not in (None, self._count):
            raise MalformedBody(f"the body ends after {self._count} of {self._length} bytes")
        return found

"""Where a request ends, however its bytes arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpool.api.serving.request_buffer import HEAD_BYTES, RequestBuffer

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    HEAD + b"Content-Length: 5\r\n\r\nhello",
    HEAD + b"content-length:0\r\n\r\n",
    HEAD + b"Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhe\r\no\r\n1\r\n!\r\n0\r\nX: y\r\n\r\n",
]


@given(data=st.data())
def test_the_end_is_found_in_whatever_pieces_it_comes(data: st.DataObject) -> None:
    requests = data.draw(st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=4))
    stream = b"".join(requests)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8).map(sorted))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    found = []
    buffer = RequestBuffer(1000, 2000)
    for piece in pieces:
        buffer.feed(piece)
        while buffer.is_complete:
            assert not buffer.must_close
            request, rest = buffer.take()
            found.append(request)
            buffer = RequestBuffer(1000, 2000)
            buffer.feed(rest)
    assert found == requests
    assert len(buffer) == 0


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
        HEAD + b"Content-Length: +5\r\n\r\n",
        HEAD + b"Content-Length: 1001\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 9000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * HEAD_BYTES,
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"a" * (HEAD_BYTES + 1),
    ],
    ids=lambda data: repr(data[:60]),
)
def test_where_no_end_is_to_be_found_the_parser_decides(data: bytes) -> None:
    buffer = RequestBuffer(1000, 2000)
    buffer.feed(data)
    assert buffer.is_complete
    assert buffer.must_close


def test_many_tiny_chunks_are_not_gathered() -> None:
    buffer = RequestBuffer(1 << 20, 1 << 20)
    buffer.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * (1 << 18))
    assert buffer.is_complete
    assert buffer.must_close


@given(st.binary(max_size=300))
def test_any_bytes_are_taken(data: bytes) -> None:
    RequestBuffer(100, 100).feed(data)
    RequestBuffer(100, 100).feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + data)

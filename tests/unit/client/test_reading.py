"""Values and records that stream in: parsed in any pieces, and gone on with where they were cut."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpool.client import Client, NotFound, Unreachable
from batchpool.client.reading import parse_lines

JSON = st.recursive(
    st.none() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(JSON), st.lists(st.integers(0, 200)))
def test_lines_are_parsed_whatever_pieces_they_come_in(values: list[Any], cuts: list[int]) -> None:
    text = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode()
    ends = sorted({*(cut for cut in cuts if cut < len(text)), 0, len(text)})
    chunks = [text[start:end] for start, end in pairwise(ends)]
    assert [value for some in parse_lines(chunks) for value in some] == values


@dataclass
class Streams:
    """A server of streams: each is sent once; all but the last ones are cut at their end."""

    url: str = ""
    cut: list[str] = field(default_factory=list)
    whole: str | None = None
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def streams() -> Iterator[Streams]:
    found = Streams()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path.partition("?")[2])
            is_cut = bool(found.cut)
            text = (found.cut.pop(0) if is_cut else found.whole or "").encode()
            if not is_cut and found.whole is None:
                self.close_connection = True
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(text) + is_cut))
            self.end_headers()
            self.wfile.write(text)
            self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def test_values_go_on_after_those_that_came_whole(streams: Streams) -> None:
    streams.cut = ["1\n2\n3", "3\n"]
    streams.whole = "4\n"
    with Client(streams.url) as client:
        assert list(client.values("j")) == [1, 2, 3, 4]
    assert streams.asked == [f"missing=fail&cursor={read}" for read in (0, 2, 3)]


def test_values_without_places_are_read_again_from_the_last_whole_part(streams: Streams) -> None:
    streams.cut = ["1\n2\n", "1\n"]
    streams.whole = "1\n2\n3\n"
    with Client(streams.url) as client:
        assert list(client.values("j", missing="skip")) == [1, 2, 3]
    assert streams.asked == ["missing=skip&cursor=0&limit=50000"] * 3


def test_records_go_on_after_the_last_index(streams: Streams) -> None:
    streams.cut = ['{"value":1,"index":4}\n{"val']
    streams.whole = '{"value":2,"index":9}\n'
    with Client(streams.url) as client:
        assert list(client.records("j", fields=["value"])) == [{"value": 1}, {"value": 2}]
    assert [query.rpartition("=")[2] for query in streams.asked] == ["0", "5"]


def test_followed_records_count_once_their_cursor_has_come(streams: Streams) -> None:
    streams.cut = ['{"cursor":"a"}\n{"index":1}\n{"cursor":"b"}\n{"index":2}\n', '{"cursor":"b"}\n']
    streams.whole = '{"index":2}\n{"index":0}\n{"cursor":"c"}\n{"end":"failed"}\n'
    with Client(streams.url) as client:
        found = [record["index"] for record in client.stream("j", states=["failed"])]
    assert found == [1, 2, 0]
    assert streams.asked[0] == "state=failed&follow=1"
    assert [query.rpartition("=")[2] for query in streams.asked[1:]] == ["b", "b"]


def test_a_job_that_is_gone_is_not_found(streams: Streams) -> None:
    streams.whole = '{"index":2}\n{"cursor":"c"}\n{"end":"gone","detail":"deleted"}\n'
    with Client(streams.url) as client:
        records = client.stream("j")
        assert next(records) == {"index": 2}
        with pytest.raises(NotFound, match="deleted"):
            next(records)


@pytest.mark.parametrize("last", ['{"cursor":"a"}\n', "", '{"index":2}\n'])
def test_a_stream_that_never_goes_on_is_given_up(streams: Streams, last: str) -> None:
    streams.cut = ['{"index":1}\n{"cursor":"a"}\n' + last]
    with Client(streams.url, retry_for_s=0.3) as client:
        records = client.stream("j")
        assert next(records) == {"index": 1}
        with pytest.raises(Unreachable):
            next(records)


def test_a_stream_that_ends_each_time_where_it_began_is_given_up(streams: Streams) -> None:
    streams.whole = '{"cursor":"a"}\n'
    with Client(streams.url, retry_for_s=0.3) as client, pytest.raises(Unreachable):
        next(client.stream("j"))
